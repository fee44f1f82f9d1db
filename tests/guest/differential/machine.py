"""What the placeholders of the corpus are on the machine underneath."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import kernel_side
from corpus import constant_words
from our_side import Remembering

from bpfprobe.model.arch import X86_64
from bpfprobe.model.ktype import KStruct
from bpfprobe.resolve.members import find_member
from bpfprobe.target.live import LiveTarget

if TYPE_CHECKING:
    from bpfprobe.target import Target

KERNEL_REGISTERS = [name for name, member in X86_64.registers.items() if name == member]
"""As regs_query_register_offset() has them: without the r of the 64-bit names."""


def prepare() -> Target:
    """tracefs, a module with functions, and a target that knows both."""
    kernel_side.mount()
    (module,) = Path("/run/bpfprobe/modules").glob("*-overlay.ko")
    subprocess.run(["insmod", module], check=True)
    return Remembering(LiveTarget())  # type: ignore[return-value]  # it answers what it is asked


def words(target: Target) -> dict[str, str]:
    """Every placeholder."""
    library = target.binary("c")
    access = target.binary_symbols(library, "access")[0]
    address = target.symbols("vfs_read")[0].address
    openers = ("do_filp_open", "do_file_open")  # the name since Linux 7.1
    data = target.symbols("linux_proc_banner")[0].address
    after_ftrace = (5, 9)  # where the code goes on behind the call to ftrace, with or without endbr
    return {
        **constant_words(KERNEL_REGISTERS),
        "binary": library.path,
        "offset": f"{access.offset:#x}",
        "decimal_offset": str(access.offset),
        "ref_counter": "0x1d0000",
        "dentry": str(_dentry_offset(target)),
        "returns_pointer": next(name for name in openers if target.symbols(name)),
        "address": f"{address:#x}",
        "upper_address": f"0X{address:X}",
        "data_address": f"{data:#x}",
        "inside": next(
            str(n) for n in after_ftrace if kernel_side.verdict(f"p vfs_read+{n}").accepts
        ),
    }


def _dentry_offset(target: Target) -> int:
    """How far into a struct file the pointer to its dentry stands: it has moved."""
    file = target.struct("file")
    path = find_member(target, file, "f_path") if file else None
    assert path is not None
    assert isinstance(path.type, KStruct)
    dentry = find_member(target, path.type, "dentry")
    assert dentry is not None
    return path.offset + dentry.offset


def worked_at(target: Target) -> set[str]:
    """The places that the workload comes by."""
    found = words(target)
    user = f"{found['binary']}:{found['offset']}"
    return {
        "p vfs_read",
        "r vfs_read",
        f"p vfs_read+{found['inside']}",
        "p do_sys_openat2",
        f"r {found['returns_pointer']}",
        "p ip_append_data",
        "f vfs_read",
        f"p {user}",
        f"r {user}",
    }
