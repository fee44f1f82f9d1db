"""Programs to sites, by perf_event_open(2) and BPF links; and what a link knows of itself."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from bpfprobe.engine import bpf
from bpfprobe.engine.fork_guard import OwnedFd
from bpfprobe.engine.perf_event import read_pmu, request
from bpfprobe.errors import LoadError
from bpfprobe.model.site import KernelSite, SingleSite, UserSite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.engine.fork_guard import ForkGuard
    from bpfprobe.engine.perf_event import PerfRequest, ProbePmu
    from bpfprobe.engine.syscalls import Kernel

_IOC_ENABLE, _IOC_SET_BPF = 0x2400, 0x40042408  # <linux/perf_event.h>

# struct bpf_link_info: type, id, prog_id, then union perf_event { type; union kprobe {
# func_name, name_len, offset, addr, missed } }. `missed` came with Linux 6.7, commit 3acf8ace6823.
_LINK_INFO = struct.Struct("=III4xI4xQIIQQ")
_KPROBE_TYPES = (3, 4)  # BPF_PERF_EVENT_KPROBE, BPF_PERF_EVENT_KRETPROBE

# struct bpf_prog_info up to recursion_misses (Linux 5.12, commit 9ed9e9ba2337).
_RECURSION_MISSES_AT = 208
_PROG_INFO_SIZE = _RECURSION_MISSES_AT + 8


class PerfLink:
    """A program on a perf event. Closing its descriptor detaches, also when the process dies."""

    def __init__(self, kernel: Kernel, guard: ForkGuard, fd: int, *, is_bpf_link: bool) -> None:
        self._kernel, self._guard, self._is_bpf_link = kernel, guard, is_bpf_link
        self._fd = OwnedFd(fd)
        guard.keep(self)

    def missed(self) -> int | None:
        """Hits of a kprobe without the program: in another probe's handler, or no kretprobe slot.

        None for other sites, where the kernel does not say (before Linux 6.7), and once closed.
        Raises `LoadError` (LINK_READ).
        """
        if not self._is_bpf_link or self._fd.number < 0:
            return None
        try:
            info = bpf.object_info(self._kernel, self._fd.number, _LINK_INFO.size)
        except OSError as error:
            if self._fd.number < 0:  # closed meanwhile, by another thread
                return None
            raise LoadError(
                f"the kernel would not say what a link has missed: {error.strerror}",
                errno=error.errno or 0,
                code="LINK_READ",
            ) from error
        if len(info) < _LINK_INFO.size:
            return None
        _, _, _, kind, _, _, _, _, missed = _LINK_INFO.unpack(info)
        return int(missed) if kind in _KPROBE_TYPES else None

    def close(self) -> None:
        """Detach. Closing twice does nothing."""
        self._guard.forget(self)
        self._fd.close()


class Attacher:
    """Attaches programs. The kernel's PMUs are read once."""

    def __init__(self, kernel: Kernel, guard: ForkGuard) -> None:
        self._kernel, self._guard = kernel, guard
        self._pmus: dict[str, ProbePmu | None] = {}

    def attach(self, program_fd: int, site: SingleSite, cookie: int = 0) -> PerfLink:
        """Raises `AttachError` with a code for each cause, `PrivilegeError`.

        A program asks for its ``cookie`` to know which of its places was hit (Linux 5.15).
        """
        try:
            event = self.open(site)
            try:
                return self._bind(program_fd, event, cookie)
            finally:
                event.close()
        except OSError as error:
            from bpfprobe.engine.attach_errors import explain  # few starts need words for it
            from bpfprobe.engine.privilege import read_privileges

            raise explain(site, error, read_privileges()) from error

    def open(self, site: SingleSite) -> OwnedFd:
        """A perf event at a site, without a program. Raises OSError, `AttachError`."""
        pmu = self._pmu(site)
        try:
            return self._event(request(site, pmu))
        except OSError as error:
            in_module = isinstance(site, KernelSite) and site.module and not site.address
            if error.errno != errno.ENOENT or not in_module or not _is_loaded(site):
                raise
        return self._event(request(site, pmu, plain_name=True))

    def _event(self, asked: PerfRequest) -> OwnedFd:
        return OwnedFd(self._kernel.perf_event_open(asked.attr, asked.pid, asked.cpu))

    def _pmu(self, site: SingleSite) -> ProbePmu | None:
        if not isinstance(site, KernelSite | UserSite):
            return None
        name = "kprobe" if isinstance(site, KernelSite) else "uprobe"
        if name not in self._pmus:
            self._pmus[name] = read_pmu(name)
        return self._pmus[name]

    def _bind(self, program_fd: int, event: OwnedFd, cookie: int) -> PerfLink:
        """By a link, which holds the event, so that one descriptor a probe is enough."""
        try:
            fd = bpf.create_perf_link(self._kernel, program_fd, event.number, cookie)
        except OSError as error:
            # Before Linux 5.15 EINVAL says that there are no such links, but it has other causes
            # too: the older way comes to the same answer then.
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP) or cookie:
                raise
        else:
            return PerfLink(self._kernel, self._guard, fd, is_bpf_link=True)
        fcntl.ioctl(event.number, _IOC_SET_BPF, program_fd)
        fcntl.ioctl(event.number, _IOC_ENABLE, 0)
        kept = fcntl.fcntl(event.number, fcntl.F_DUPFD_CLOEXEC, 0)  # the caller closes its own
        return PerfLink(self._kernel, self._guard, kept, is_bpf_link=False)


def recursion_misses(kernel: Kernel, program_fd: int) -> int | None:
    """Hits for which a program did not run since one ran on that CPU already.

    None before Linux 5.12. Counted for kprobes, uprobes and tracepoints since Linux 6.7 (commit
    dd8657894c11); before that it stays 0.
    """
    info = bpf.object_info(kernel, program_fd, _PROG_INFO_SIZE)
    if len(info) < _PROG_INFO_SIZE:
        return None
    return int.from_bytes(info[_RECURSION_MISSES_AT:], "little")


def _is_loaded(site: SingleSite) -> bool:
    # Without the module the plain name could be another function of the kernel.
    folder = f"/sys/module/{site.module}" if isinstance(site, KernelSite) else ""
    return os.path.isdir(folder)  # noqa: PTH112  # pathlib costs a start milliseconds
