"""One program at many places of a file: by one link where the kernel has them, else one by one."""

from __future__ import annotations

from bpfprobe.engine import bpf
from bpfprobe.engine.fork_guard import OwnedFd
from bpfprobe.model.site import UserSites

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.engine.attach import Attacher, PerfLink
    from bpfprobe.engine.fork_guard import ForkGuard
    from bpfprobe.engine.syscalls import Kernel
    from bpfprobe.errors import BpfprobeError
    from bpfprobe.model.site import UserSite


class MultiLink:
    """A program at many places by one link. Closing its descriptor detaches at once from all."""

    def __init__(self, guard: ForkGuard, fd: int) -> None:
        self._guard, self._fd = guard, OwnedFd(fd)
        guard.keep(self)

    def missed(self) -> int | None:
        """None: the kernel does not say."""
        return None

    def close(self) -> None:
        """Detach. Closing twice does nothing."""
        self._guard.forget(self)
        self._fd.close()


class ManyLinks:
    """A program at many places by a link each."""

    def __init__(self) -> None:
        self._links: list[PerfLink] = []

    def add(self, link: PerfLink) -> None:
        """One more place."""
        self._links.append(link)

    def missed(self) -> int | None:
        """None: the kernel does not say it of a function of a program."""
        return None

    def close(self) -> None:
        """Detach everywhere, the latest first. Closing twice does nothing."""
        while self._links:
            self._links.pop().close()


def attach_by_one_link(
    kernel: Kernel,
    guard: ForkGuard,
    attacher: Attacher,
    program_fd: int,
    site: UserSite | UserSites,
) -> MultiLink:
    """For a program that was loaded for it (Linux 6.6). Raises as `attach_one_by_one` does."""
    sites, first = (site.each(), site.first) if isinstance(site, UserSites) else ((site,), 0)
    try:
        return MultiLink(guard, bpf.create_uprobe_multi_link(kernel, program_fd, sites, first))
    except OSError as error:
        _refuse_place(attacher, sites)
        raise _explained(site, error) from error


def attach_one_by_one(attacher: Attacher, program_fd: int, sites: UserSites) -> ManyLinks:
    """At all places or none.

    Raises `AttachError` that names the place which was refused, `PrivilegeError`.
    """
    links = ManyLinks()
    try:
        for cookie, site in enumerate(sites.each(), start=sites.first):
            links.add(attacher.attach(program_fd, site, cookie))
    except BaseException:  # Ctrl-C too: it takes long, and nobody else knows of the links
        links.close()
        raise
    return links


def _refuse_place(attacher: Attacher, sites: tuple[UserSite, ...]) -> None:
    """Raise for the place that the kernel would not take: one link for all does not tell."""
    for site in sites:
        try:
            attacher.open(site).close()
        except OSError as error:
            raise _explained(site, error) from error


def _explained(site: UserSite | UserSites, error: OSError) -> BpfprobeError:
    from bpfprobe.engine.attach_errors import explain  # few starts need words for it
    from bpfprobe.engine.privilege import read_privileges

    return explain(site, error, read_privileges())
