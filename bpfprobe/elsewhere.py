"""What a session tells of programs that run another file than the one that it probes."""

from __future__ import annotations

from bpfprobe.model.notice import Notice
from bpfprobe.model.site import UserSite, UserSites

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfprobe.model.object import Wiring
    from bpfprobe.model.options import Options


def tell_of_other_files(
    wiring: Wiring, options: Options, notify: Callable[[Notice], object]
) -> None:
    """A notice for each file that probes go to, where a process has another one in its place.

    Probes of a process are left out: the file is the one that it runs.
    """
    paths = dict.fromkeys(_paths(wiring))
    if not paths:
        return
    from bpfprobe.target.other_files import other_files  # most probes are of the kernel

    for found in other_files(paths, options.pid or options.tid):
        others = f", as those of {found.more} more mount namespaces do" if found.more else ""
        notify(
            Notice(
                "OTHER_FILE",
                f"process {found.pid} ({found.comm}) runs another file at {found.path}{others}, "
                f"which is not probed: -p {found.pid} (in Python pid={found.pid}, for the probe) "
                "probes that one, --follow (follow=True) all of them",
            )
        )


def _paths(wiring: Wiring) -> Iterator[str]:
    for probe in wiring.probes:
        for site in (probe.site, *(site for _, site in probe.more)):
            if isinstance(site, (UserSite, UserSites)) and site.pid is None:
                yield site.path
