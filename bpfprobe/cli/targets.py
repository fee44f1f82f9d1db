"""The machine that a command line means: this one, or one in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfprobe.target import Target


def target_of(path: str | None) -> Target:
    """A recorded target or a kernel's BTF (raw, or a vmlinux) from a file, None for this machine.

    Raises `TargetError`: NO_FILE, NO_ACCESS, NOT_REGULAR, and those of the two readers.
    """
    if path is None:
        from bpfprobe.target.live import LiveTarget

        return LiveTarget()
    from bpfprobe.target.btf_file import BtfFileTarget, is_btf

    if is_btf(path):
        return BtfFileTarget(path)
    from bpfprobe.testing import RecordedTarget

    return RecordedTarget.load(path)
