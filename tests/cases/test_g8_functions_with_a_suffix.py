"""Of NAME.SUFFIX, which the compiler made of a function, the kernel judges NAME."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpfprobe.target.live import LiveTarget

if TYPE_CHECKING:
    from pathlib import Path

LISTED = ("open", "read.isra.0", "tcp_x.part.0")
OTHERS = (
    "open.cold", "open.part.0", "open.constprop.0", "open.part.0.cold", "close", "close.cold",
    "read.isra.0.cold", "tcp_x.part.0.cold", ".cold",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "traceable"),
    [
        *((name, True) for name in LISTED),
        ("open.cold", True),
        ("open.part.0", True),
        ("open.constprop.0", True),
        ("open.part.0.cold", True),
        ("close", False),
        ("close.cold", False),
        ("read.isra.0.cold", False),  # there is no function read
        ("tcp_x.part.0.cold", False),
        (".cold", False),
    ],
)
def test_the_function_without_its_suffix_decides(
    tmp_path: Path, name: str, traceable: bool
) -> None:
    lines = [f"{0xFFFFFFFF81000000 + 256 * i:x} t {n}" for i, n in enumerate((*LISTED, *OTHERS))]
    files = {
        "proc/kallsyms": "\n".join(lines) + "\n",
        "proc/mounts": "tracefs /trace tracefs rw 0 0\n",
        "trace/available_filter_functions": "\n".join(LISTED) + "\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert LiveTarget(tmp_path).is_traceable(name) is traceable


@pytest.mark.parametrize(
    ("name", "blacklisted"),
    [
        ("nmi_handle", True),
        ("nmi_handle.part.0", True),
        ("nmi_handle.constprop.0.cold", True),
        ("nmi", False),
        ("nmi_handler.part.0", False),
        (".part.0", False),
    ],
)
def test_what_was_split_off_is_blacklisted_with_it(
    tmp_path: Path, name: str, blacklisted: bool
) -> None:
    listed = tmp_path / "sys/kernel/debug/kprobes/blacklist"
    listed.parent.mkdir(parents=True)
    listed.write_text("0xffffffff81001000-0xffffffff81001080\tnmi_handle\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/mounts").write_text("debugfs /sys/kernel/debug debugfs rw 0 0\n")
    assert LiveTarget(tmp_path).is_blacklisted(name) is blacklisted
