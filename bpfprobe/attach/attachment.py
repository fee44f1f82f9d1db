"""Everything of an object that is open in the kernel, and what its counters say."""

from __future__ import annotations

from contextlib import ExitStack

from bpfprobe.attach.ledger import Ledger
from bpfprobe.model.object import EVENTS_MAP
from bpfprobe.model.parameters import end_write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bpfprobe.attach.ledger import Tally
    from bpfprobe.engine import Engine, Link, MappedValue, RecordSource
    from bpfprobe.model.object import Bytecode, CSource, ProbeWiring, Wiring
    from bpfprobe.model.parameters import ParameterBlock


class Attachment:
    """Owns maps, programs, links and the buffer of a wiring until `close`."""

    def __init__(
        self, wiring: Wiring, engine: Engine, is_inside: Callable[[int, str], bool | None]
    ) -> None:
        self.wiring = wiring
        self._engine = engine
        self._open = ExitStack()
        self._links: list[Link] = []
        self._links_of: dict[int, tuple[Link, ...]] = {}
        self._programs_of: dict[int, tuple[int, ...]] = {}
        self.programs: dict[str, int] = {}
        """The programs that were loaded first, by name."""
        self._map_fds: list[int] = []
        self._ledger = Ledger(wiring, engine, self._map_fds, is_inside)
        self._value: MappedValue | None = None  # of the parameters
        self._index = 0  # of those in force
        self._final: list[Tally] | None = None
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
            self._value = self._map_parameters()
            self._open.callback(self._value.close)
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

    def _map_parameters(self) -> MappedValue:
        number = self.wiring.parameter_map
        return self._engine.map_value(self._map_fds[number], self.wiring.maps[number].value_size)

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
        if not parameters.slots or self._value is None:
            return
        writes, index = parameters.writes(self._index)
        self._value.write(writes)
        self._index = index
        self._engine.await_programs()

    def detach(self) -> None:
        """Take the programs off; what they sent can still be read."""
        links, self._links = self._links, []
        self._engine.detach(links)

    def close(self) -> None:
        """Detach, unmap, close. Closing twice does nothing."""
        self.detach()
        self._open.close()

    def tally(self, probe: int) -> Tally:
        """What the probe of that number has counted until now, or until counting ended."""
        if self._final is not None:
            return self._final[probe]
        return self._ledger.tally(probe, self._missed(probe))

    def end_counting(self) -> None:
        """Have no hit count from now on, and keep the tallies. Idempotent.

        What the programs have sent can still be read, and they can be detached at leisure. Not for
        a forked child. Raises `LoadError` (MAP_READ, LINK_READ).
        """
        if self._final is not None or self._value is None:
            return
        numbers = range(len(self.wiring.probes))
        size = self.wiring.maps[self.wiring.parameter_map].value_size
        self._value.write((end_write(size, len(numbers)),))
        # The links at once: they know nothing of an end, and go on to count.
        missed = [self._missed(probe) for probe in numbers]
        self._engine.await_programs()
        self._final = [self._ledger.tally(probe, missed[probe], ended=True) for probe in numbers]

    def _missed(self, probe: int) -> int | None:
        """What the kernel says it missed; None for a pair of probes of which it does not say."""
        counts = [link.missed() for link in self._links_of.get(probe, ())]
        known = [count for count in counts if count is not None]
        if self._ledger.is_paired(probe) and (len(known) < len(counts) or not counts):
            return None
        programs = self._programs_of.get(probe, ())
        recursive = [self._engine.recursion_misses(fd) for fd in programs]
        return sum(known) + sum(count or 0 for count in recursive)
