"""Everything of an object that is open in the kernel, and what its counters say."""

from __future__ import annotations

import struct
from contextlib import ExitStack

from bpfprobe.model.noun import dataclass
from bpfprobe.model.object import COUNTERS, COUNTERS_MAP, EVENTS_MAP, INFLIGHT_KEY_BYTES
from bpfprobe.model.site import KernelSite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bpfprobe.engine import Engine, Link, RecordSource
    from bpfprobe.model.object import Bytecode, CSource, ProbeWiring, Wiring
    from bpfprobe.model.parameters import ParameterBlock


@dataclass(frozen=True, slots=True)
class Tally:
    """What one probe counted in the kernel, summed over CPUs.

    ``missed`` are hits for which the kernel ran no program, ``in_flight`` calls not yet returned.
    """

    produced: int
    lost: int
    unmatched: int
    missed: int
    in_flight: int


class Attachment:
    """Owns maps, programs, links and the buffer of a wiring until `close`."""

    def __init__(
        self, wiring: Wiring, engine: Engine, is_inside: Callable[[int, str], bool | None]
    ) -> None:
        self.wiring = wiring
        self._engine = engine
        self._is_inside = is_inside
        self._open = ExitStack()
        self._links: list[Link] = []
        self._links_of: dict[int, tuple[Link, ...]] = {}
        self._programs_of: dict[int, tuple[int, ...]] = {}
        self.programs: dict[str, int] = {}
        """The programs that were loaded first, by name."""
        self._map_fds: list[int] = []
        self._index = 0  # of the parameters in force
        self.source: RecordSource

    def attach(
        self,
        compile_: Callable[[], Sequence[Bytecode]],
        source: CSource | None = None,
        waiting: Collection[int] = (),
    ) -> dict[int, list[Link]]:
        """Create the maps, compile, load, attach; undo all if any of it fails.

        The maps come first: whoever may not create them is told before a compiler has run. With
        the ``source`` that is compiled, what the verifier refuses has a place in a description.
        Gives the links of each probe, but of those that are ``waiting``: they are not attached.
        """
        with ExitStack() as undo:
            undo.callback(self.close)
            for definition in self.wiring.maps:
                fd = self._engine.create_map(definition)
                self._open.callback(self._engine.close_fd, fd)
                self._map_fds.append(fd)
            self.source = self._open_source()
            self._open.callback(self.source.close)
            self.programs = self.load(compile_(), source)
            links = {
                index: self.attach_probe(index, probe, self.programs)
                for index, probe in enumerate(self.wiring.probes)
                if index not in waiting
            }
            undo.pop_all()
        return links

    def load(self, codes: Sequence[Bytecode], source: CSource | None) -> dict[str, int]:
        """Load programs, with the maps that there are. Raises `LoadError`, `PrivilegeError`."""
        programs: dict[str, int] = {}
        for code in codes:
            fd = self._load(code, source)
            self._open.callback(self._engine.close_fd, fd)
            programs[code.program.name] = fd
        return programs

    def _load(self, code: Bytecode, source: CSource | None) -> int:
        if source is None:
            return self._engine.load(code, self._map_fds)
        from bpfprobe.attach.refusal import tracing_refusals  # not for what was loaded before

        with tracing_refusals(code, source):
            return self._engine.load(code, self._map_fds)

    def _open_source(self) -> RecordSource:
        wiring = self.wiring
        if wiring.uses_ring:
            return self._engine.open_ring(self._map_fds[EVENTS_MAP], wiring.buffer_bytes)
        pages = wiring.buffer_bytes // wiring.page_size
        return self._engine.open_perf(self._map_fds[EVENTS_MAP], pages, wiring.wake_bytes)

    def attach_probe(
        self, index: int, probe: ProbeWiring, programs: Mapping[str, int]
    ) -> list[Link]:
        """Attach the probe of that number at all places of a wiring, or at none.

        The return first: a call that has begun before is then known by its missing entry. Raises
        `AttachError`, `PrivilegeError`.
        """
        places = [(programs[probe.program], probe.site)]
        places += [(programs[program], site) for program, site in probe.more]
        if probe.entry_site is not None:
            places.append((programs[probe.entry_program], probe.entry_site))
        links: list[Link] = []
        try:
            for fd, site in places:
                links.append(self._engine.attach(fd, site))
        except BaseException:  # Ctrl-C too: nobody else knows of these links
            self._engine.detach(links)
            raise
        # Tuples, since another thread may be counting.
        used = (*self._programs_of.get(index, ()), *(fd for fd, _ in places))
        self._programs_of[index] = tuple(dict.fromkeys(used))
        self._links += links
        self._links_of[index] = (*self._links_of.get(index, ()), *links)
        return links

    def give_up(self, index: int, links: Sequence[Link]) -> None:
        """Own some of the links of a probe no more: whoever has them is to `end` them."""
        self._links_of[index] = tuple(one for one in self._links_of[index] if one not in links)
        self._links = [one for one in self._links if one not in links]

    def end(self, links: Sequence[Link]) -> None:
        """Take programs off, all at once. It waits for the kernel, in whatever thread."""
        self._engine.detach(links)

    def hand(self, parameters: ParameterBlock) -> None:
        """Have all programs compare with these values from now on, all at once.

        ``parameters`` has the slots of those in force. When it returns, no program runs any more
        that has seen the old ones.
        """
        if not parameters.slots:
            return
        writes, index = parameters.writes(self._index)
        fd = self._map_fds[self.wiring.parameter_map]
        self._engine.rewrite(fd, parameters.value_bytes, writes)
        self._index = index

    def detach(self) -> None:
        """Take the programs off; what they sent can still be read."""
        links, self._links = self._links, []
        self._engine.detach(links)

    def close(self) -> None:
        """Detach, unmap, close. Closing twice does nothing."""
        self.detach()
        self._open.close()

    def tally(self, probe: int) -> Tally:
        """What the probe of that number has counted until now."""
        counts = self._counters(probe)
        known = self._missed_by_links(probe)
        missed, in_flight = known or 0, 0
        if self._is_paired(probe):
            returned = counts["produced"] + counts["refused"]
            open_calls = counts["entries"] - returned
            if known is None:
                in_flight = self._still_inside(probe)
                missed = max(0, open_calls - in_flight - counts["inflight_full"])
            else:
                in_flight = max(0, open_calls - missed)
            missed += counts["inflight_full"]
        return Tally(
            produced=counts["produced"],
            lost=counts["lost"],
            unmatched=counts["unmatched"],
            missed=missed,
            in_flight=in_flight,
        )

    def _counters(self, probe: int) -> dict[str, int]:
        size = 8 * len(COUNTERS)
        totals = dict.fromkeys(COUNTERS, 0)
        for value in self._engine.read_percpu(self._map_fds[COUNTERS_MAP], probe, size):
            for name, number in zip(
                COUNTERS, struct.unpack(f"<{len(COUNTERS)}Q", value), strict=True
            ):
                totals[name] += number
        return totals

    def _missed_by_links(self, probe: int) -> int | None:
        """What the kernel says it missed; None for a pair of probes of which it does not say."""
        counts = [link.missed() for link in self._links_of.get(probe, ())]
        known = [count for count in counts if count is not None]
        if self._is_paired(probe) and (len(known) < len(counts) or not counts):
            return None
        programs = self._programs_of.get(probe, ())
        recursive = [self._engine.recursion_misses(fd) for fd in programs]
        return sum(known) + sum(count or 0 for count in recursive)

    def _is_paired(self, probe: int) -> bool:
        return self.wiring.probes[probe].entry_site is not None

    def _still_inside(self, probe: int) -> int:
        """Remembered calls whose thread is in the function now, or may be."""
        wired = self.wiring.probes[probe]
        site = wired.entry_site
        function = site.function if isinstance(site, KernelSite) else ""
        inside = 0
        for key in self._engine.keys(self._map_fds[wired.inflight_map], INFLIGHT_KEY_BYTES):
            thread = struct.unpack_from("<I", key)[0]
            inside += self._is_inside(thread, function) is not False
        return inside
