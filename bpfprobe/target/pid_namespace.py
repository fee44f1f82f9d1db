"""The pid namespace whose numbers user space sees here, and which processes have one in it.

A program in the kernel sees a process by its number in the initial namespace. The number in another
one comes from bpf_get_ns_current_pid_tgid() alone, and only for a process whose own namespace that
is (Linux commit b4490c5c4e02, in v5.7).
"""

from __future__ import annotations

import os

from bpfprobe.errors import TargetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_INITIAL = 0xEFFFFFFC  # PROC_PID_INIT_INO of <linux/proc_ns.h>
_MINOR_BITS = 20  # of a dev_t in the kernel, MINORBITS of <linux/kdev_t.h>


def pid_namespace() -> tuple[int, int] | None:
    """Return the device, as the kernel has it, and the inode of the namespace that /proc shows.

    None for the initial one, and where it cannot be told.
    """
    try:
        status = _namespace_of_proc()
    except OSError:
        return None
    if status.st_ino == _INITIAL:
        return None
    device = status.st_dev
    return os.major(device) << _MINOR_BITS | os.minor(device), status.st_ino


def has_initial_numbers() -> bool:
    """Return whether /proc is known to show threads by the numbers that the kernel has."""
    try:
        return _namespace_of_proc().st_ino == _INITIAL
    except OSError:
        return False


def refuse_outsiders(pids: Iterable[int]) -> None:
    """Raise `TargetError` for processes or threads whose hits could not be told from others'.

    Code OTHER_PROC where /proc is that of another namespace than this process's, and
    OTHER_PID_NAMESPACE for what runs in a namespace inside of this one, which is not the initial
    one. Passes over what there is not.
    """
    wanted = list(pids)
    if wanted and _shows_other_processes():
        raise TargetError(
            "/proc shows the processes of another pid namespace than the one that this runs in, so "
            f"the number {wanted[0]} may mean two of them",
            code="OTHER_PROC",
            hint="mount -t proc proc /proc, or start it with unshare --mount-proc",
        )
    here = pid_namespace()
    for pid in wanted if here is not None else ():
        try:
            inode = _namespace(str(pid)).st_ino
        except OSError:
            continue
        if here is not None and inode != here[1]:
            raise TargetError(
                f"process {pid} is in a pid namespace inside of this one, and the kernel tells a "
                "program its number there alone",
                code="OTHER_PID_NAMESPACE",
                hint=f"trace in its namespace, nsenter -t {pid} -p -m, or outside all containers",
            )


def _namespace_of_proc() -> os.stat_result:
    """The namespace whose numbers /proc has."""
    return _namespace("1" if _shows_other_processes() else "self")


def _namespace(process: str) -> os.stat_result:
    return os.stat(f"/proc/{process}/ns/pid")  # noqa: PTH116  # pathlib costs a start a millisecond


def _shows_other_processes() -> bool:
    """Return whether /proc was mounted in a namespace that has another number for this process."""
    try:
        return os.readlink("/proc/self") != str(os.getpid())  # noqa: PTH115  # as above
    except OSError:
        return False
