"""Places that a program can be attached to, fully known: no name is left to look up."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.machine import FileOffset


@dataclass(frozen=True, slots=True)
class KernelSite:
    """A kernel function, or with ``returns`` its return; ``offset`` in bytes from its start.

    ``address`` (if not 0) is used in place of the name, for a name that several functions share.
    """

    function: str
    offset: int = 0
    returns: bool = False
    module: str = ""
    address: int = 0

    def __str__(self) -> str:
        kind = "kretprobe" if self.returns else "kprobe"
        module = f"{self.module}:" if self.module else ""
        offset = f"+{self.offset:#x}" if self.offset else ""
        return f"{kind}:{module}{self.function}{offset}"


@dataclass(frozen=True, slots=True)
class UserSite:
    """An instruction of an ELF file by file offset; all processes, or only ``pid``.

    ``symbol`` is the function there, or ``function+0x10``, empty for a place by number.
    ``ref_ctr_offset`` is the file offset of a USDT semaphore, 0 for none (Linux 4.20); ``marker``
    is ``provider:name`` where one stands there.
    """

    path: str
    offset: FileOffset
    returns: bool = False
    pid: int | None = None
    symbol: str = ""
    ref_ctr_offset: int = 0
    marker: str = ""

    def __str__(self) -> str:
        kind = "uretprobe" if self.returns else "usdt" if self.marker else "uprobe"
        return f"{kind}:{self.path}:{self.marker or self.symbol or hex(self.offset)}"


@dataclass(frozen=True, slots=True)
class UserSites:
    """Several functions of one ELF file, or their returns: those whose name fits ``pattern``.

    ``offsets`` and ``names`` go together, ordered by offset; one program goes to all of them, and
    the number of the place is its cookie, counted from ``first``.
    """

    path: str
    offsets: tuple[FileOffset, ...]
    names: tuple[str, ...]
    pattern: str
    returns: bool = False
    pid: int | None = None
    first: int = 0

    def each(self) -> tuple[UserSite, ...]:
        """The same places one by one."""
        return tuple(
            UserSite(self.path, offset, self.returns, self.pid, name)
            for offset, name in zip(self.offsets, self.names, strict=True)
        )

    def __str__(self) -> str:
        kind = "uretprobe" if self.returns else "uprobe"
        return f"{kind}:{self.path}:{self.pattern} ({len(self.offsets)} functions)"


@dataclass(frozen=True, slots=True)
class TracepointSite:
    """A tracepoint by its id in tracefs."""

    category: str
    name: str
    event_id: int

    def __str__(self) -> str:
        return f"tracepoint:{self.category}:{self.name}"


SingleSite = KernelSite | UserSite | TracepointSite
Site = SingleSite | UserSites


def count_places(sites: Iterable[Site]) -> int:
    """Return how many places these are."""
    return sum(len(site.offsets) if isinstance(site, UserSites) else 1 for site in sites)
