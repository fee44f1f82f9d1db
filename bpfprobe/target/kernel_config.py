"""How the running kernel was built, where it or the distribution says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfprobe.target.files import Files


class KernelConfig:
    """The text of a kernel's ``.config``; ``source`` is where it stood, empty for nowhere."""

    def __init__(self, text: str | None, source: str = "") -> None:
        self._text = text
        self.source = source

    def value(self, option: str) -> str | None:
        """``y``, ``m``, a number or a string; ``n`` where it is not set; None without a config."""
        if self._text is None:
            return None
        found = re.search(rf"^CONFIG_{re.escape(option)}=(.*)$", self._text, re.MULTILINE)
        return found[1].strip('"') if found else "n"


def read_config(files: Files, release: str) -> KernelConfig:
    """From /proc/config.gz, else from where distributions put it for this release."""
    for path in (
        "/proc/config.gz",
        f"/boot/config-{release}",
        f"/lib/modules/{release}/config",
        f"/usr/lib/kernel/config-{release}",
        f"/usr/lib/ostree-boot/config-{release}",
    ):
        text = files.read(path).text
        if text is not None:
            return KernelConfig(text, path)
    return KernelConfig(None)
