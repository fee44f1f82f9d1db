"""The files that probes go into, which must be the same when they are attached.

An offset in a file that was replaced meanwhile, by an upgrade say, may be in the midst of an
instruction: a probe there would break the programs that run it.
"""

from __future__ import annotations

from bpfprobe.errors import TargetError
from bpfprobe.model.site import UserSite, UserSites
from bpfprobe.target.identity import file_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.model.object import Wiring


class SiteFiles:
    """The files of a wiring, as they are now that its places have been found."""

    def __init__(self, wiring: Wiring) -> None:
        sites = [
            site
            for probe in wiring.probes
            for site in (probe.site, *(site for _, site in probe.more))
            if isinstance(site, UserSite | UserSites)
        ]
        self._seen = {site.path: file_identity(site.path) for site in sites}

    def refuse_changed(self) -> None:
        """Raises `TargetError` (FILE_CHANGED); that one has gone is for the kernel to tell."""
        for path, identity in self._seen.items():
            if identity and file_identity(path) not in ("", identity):
                raise TargetError(
                    f"{path} was changed after its places were looked up",
                    hint="try again when it is complete",
                    code="FILE_CHANGED",
                )
