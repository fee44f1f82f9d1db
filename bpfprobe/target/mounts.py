"""Where tracefs and debugfs are mounted."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bpfprobe.target.tracefs import mounts_of

if TYPE_CHECKING:
    from bpfprobe.target.files import Files


class TracingMounts:
    """Read from /proc/mounts when first asked for."""

    def __init__(self, files: Files) -> None:
        self._files = files

    @cached_property
    def debugfs(self) -> list[str]:
        """Every place of debugfs."""
        return [place for kind, place in self._mounts if kind == "debugfs"]

    @cached_property
    def tracefs(self) -> str | None:
        """Where tracefs is; old kernels have it as a directory of debugfs, not a mount."""
        own = [place for kind, place in self._mounts if kind == "tracefs"]
        for place in [*own, *(f"{debugfs}/tracing" for debugfs in self.debugfs)]:
            if not self._files.names(place).missing:
                return place
        return None

    @cached_property
    def _mounts(self) -> list[tuple[str, str]]:
        lines = (self._files.read("/proc/mounts").text or "").splitlines()
        return list(mounts_of(("tracefs", "debugfs"), lines))
