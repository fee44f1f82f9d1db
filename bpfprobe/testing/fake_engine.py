"""An engine that needs no kernel, no BCC and no privilege: it keeps what it was asked to do."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from bpfprobe.engine.attach_errors import explain
from bpfprobe.engine.privilege import Privileges
from bpfprobe.errors import LoadError
from bpfprobe.model.chunk import chunk_of
from bpfprobe.model.object import Bytecode, MapKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.engine import Link
    from bpfprobe.errors import BpfprobeError
    from bpfprobe.model.chunk import Chunk
    from bpfprobe.model.mapping import ProcessRecord
    from bpfprobe.model.object import CSource, MapDef
    from bpfprobe.model.site import Site

_RETURN_ZERO = bytes.fromhex("b700000000000000 9500000000000000")  # r0 = 0; exit
_FIRST_FD = 1 << 20  # no descriptor of this process: a stray os.close() of one fails
_ALL_PRIVILEGES = Privileges(capabilities=-1, lockdown="none", paranoid=-1)


@dataclass(slots=True, eq=False)
class FakeLink:
    """A program that counts as attached until closed. ``misses`` is what `missed` gives."""

    program_fd: int
    site: Site
    misses: int | None = 0
    is_open: bool = True

    def missed(self) -> int | None:
        """What a test has put in ``misses``."""
        return self.misses

    def close(self) -> None:
        """Detach. Closing twice does nothing."""
        self.is_open = False


class FakeSource:
    """Gives out what `FakeEngine.push` was given. Its descriptor is a real eventfd(2) to poll."""

    def __init__(self) -> None:
        self._records: deque[bytes] = deque()
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._freed = 0
        self.is_open = True

    def push(self, records: Sequence[bytes]) -> None:
        """Add records and turn the descriptor readable."""
        self._records.extend(records)
        if self.is_open and self._records:
            os.eventfd_write(self._event, 1)

    def filenos(self) -> tuple[int, ...]:
        """The eventfd, until closed."""
        return (self._event,) if self.is_open else ()

    def look(self, limit: int, limit_bytes: int) -> Chunk | None:
        """Some of the records; none once closed."""
        if not self.is_open or not self._records:
            return None
        seen = list(islice(self._records, limit))
        total = 0
        for number, record in enumerate(seen):
            total += len(record)
            if number and total > limit_bytes:
                del seen[number:]
                break
        return chunk_of(seen)

    def free(self, count: int) -> None:
        """Forget the oldest; nothing once closed."""
        if not self.is_open:
            return
        for _ in range(count):
            self._freed += len(self._records.popleft())
        if not self._records:
            with contextlib.suppress(BlockingIOError):  # nothing was pushed since the last read
                os.eventfd_read(self._event)

    def lend(self) -> None:
        """Nothing to do: each look gives memory of its own."""

    def progress(self) -> tuple[int, int]:
        """Bytes of the records that were freed, and of all that were pushed."""
        return self._freed, self._freed + sum(map(len, self._records))

    def close(self) -> None:
        """Close the descriptor. Closing twice does nothing."""
        if self.is_open:
            self.is_open = False
            os.close(self._event)


@dataclass(slots=True)
class FakeValue:
    """Writes into the value of that name among ``values``."""

    values: dict[str, bytes]
    name: str
    is_open: bool = True

    def write(self, writes: Sequence[tuple[int, bytes]]) -> None:
        """Write into it, without changing its size; nothing once closed."""
        for offset, data in writes if self.is_open else ():
            value = self.values[self.name]
            self.values[self.name] = value[:offset] + data + value[offset + len(data) :]

    def close(self) -> None:
        """Write no more. Closing twice does nothing."""
        self.is_open = False


class FakeProcessWatch:
    """Tells of processes what a test pushes."""

    def __init__(self) -> None:
        self._records: deque[ProcessRecord] = deque()
        self._changed = threading.Condition()
        self._ended = self._is_waiting = False
        self._waits = self._goal = 0
        self.is_open = True

    def push(self, *records: ProcessRecord) -> None:
        """Have `wait` give these."""
        with self._changed:
            self._records.extend(records)
            self._goal = self._waits + (1 if self._is_waiting else 2)
            self._changed.notify_all()

    def settle(self) -> None:
        """Until all that was pushed has been dealt with: whoever took it waits again, or ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._waits >= self._goal or self._ended)

    def wait(self) -> list[ProcessRecord]:
        """What was pushed; nothing once it has ended."""
        with self._changed:
            self._waits += 1
            self._is_waiting = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._records or self._ended)
            self._is_waiting = False
            taken = [] if self._ended else list(self._records)
            self._records.clear()
            return taken

    def end(self) -> None:
        """Wake who waits, for the last time."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing is told any more."""
        self.is_open = False


@dataclass
class FakeEngine:
    """A `bpfprobe.engine.Engine` for tests of probes, of sessions, of a tracer of your own.

    ::

        engine = FakeEngine()
        engine.refuse("vfs_write", errno.EINVAL)      # attaching there fails as it would live
        engine.push(record)                           # a program "sends" an event
        assert engine.attached == ()                  # nothing stays attached

    ``sources``, ``maps`` and ``programs`` keep what was compiled, created and loaded (the latter
    two by descriptor, until closed); ``links`` every attachment ever made, in order. ``counters``
    is what `read_percpu` gives, by map name and key; ``pending`` what `keys` gives, by map name;
    ``misses`` what `recursion_misses` gives. ``values`` is what stands in maps of one
    entry, by name; ``watches`` what `watch_processes` gave.
    """

    cpus: int = 2
    sources: list[CSource] = field(default_factory=list)
    maps: dict[int, MapDef] = field(default_factory=dict)
    programs: dict[int, Bytecode] = field(default_factory=dict)
    links: list[FakeLink] = field(default_factory=list)
    record_sources: list[FakeSource] = field(default_factory=list)
    counters: dict[tuple[str, int], list[bytes]] = field(default_factory=dict)
    pending: dict[str, list[bytes]] = field(default_factory=dict)
    misses: int | None = 0
    values: dict[str, bytes] = field(default_factory=dict)
    watches: list[FakeProcessWatch] = field(default_factory=list)
    _early: list[bytes] = field(default_factory=list)
    _refusals: list[tuple[str, int]] = field(default_factory=list)
    _failures: dict[str, BpfprobeError] = field(default_factory=dict)
    _next_fd: int = _FIRST_FD

    @property
    def attached(self) -> tuple[Site, ...]:
        """The sites that a program is attached to now, in the order of attaching."""
        return tuple(link.site for link in self.links if link.is_open)

    @property
    def is_idle(self) -> bool:
        """True if nothing is attached, loaded, created or mapped."""
        sources_open = any(source.is_open for source in self.record_sources)
        sources_open |= any(watch.is_open for watch in self.watches)
        return not (self.attached or self.maps or self.programs or sources_open)

    def push(self, *records: bytes) -> None:
        """Make records come out of the record source; kept for it if none is open yet."""
        for source in reversed(self.record_sources):
            if source.is_open:
                source.push(records)
                return
        self._early += records

    def refuse(self, site_part: str, number: int) -> None:
        """Make attaching fail with an errno at sites whose text contains ``site_part``."""
        self._refusals.append((site_part, number))

    def fail(self, method: str, error: BpfprobeError) -> None:
        """Make a method raise: ``compile``, ``create_map``, ``await_programs``, ``load`` ..."""
        self._failures[method] = error

    def count(self, map_name: str, key: int, *values: int, size: int = 8) -> None:
        """Set a per-CPU counter: a value for each CPU, of ``size`` bytes."""
        filled = [*values, *[0] * (self.cpus - len(values))]
        self.counters[map_name, key] = [value.to_bytes(size, "little") for value in filled]

    def compile(self, source: CSource) -> tuple[Bytecode, ...]:
        """Programs that do nothing."""
        self._check("compile")
        self.sources.append(source)
        return tuple(Bytecode(program, _RETURN_ZERO) for program in source.programs)

    def compiling_soon(self) -> contextlib.AbstractContextManager[object]:
        """Nothing has to start."""
        return contextlib.nullcontext()

    def compiler(self) -> str:
        """None: what is made here must not be kept for a real kernel."""
        return ""

    def check_privilege(self) -> None:
        """None is needed."""

    def create_map(self, definition: MapDef) -> int:
        """A number that stands for the map."""
        self._check("create_map")
        fd = self._number()
        self.maps[fd] = definition
        if definition.initial:
            self.values[definition.name] = definition.initial
        return fd

    def map_value(self, map_fd: int, size: int) -> FakeValue:
        """What is written goes into ``values``. Raises `LoadError` for a map of another size."""
        self._check("map_value")
        definition = self._map(map_fd)
        if definition.kind is not MapKind.ARRAY or definition.value_size != size:
            raise LoadError(f"{definition} holds no value of {size} bytes", code="MAP_WRITE")
        return FakeValue(self.values, definition.name)

    def await_programs(self) -> None:
        """Return at once: no program runs."""
        self._check("await_programs")

    def load(self, bytecode: Bytecode, map_fds: Sequence[int]) -> int:
        """A number that stands for the program. Raises `LoadError` for a map that is not there."""
        self._check("load")
        for fd in map_fds:
            self._map(fd)
        fd = self._number()
        self.programs[fd] = bytecode
        return fd

    def attach(self, program_fd: int, site: Site) -> FakeLink:
        """Count as attached, unless refused."""
        if program_fd not in self.programs:
            raise LoadError(f"no program {program_fd} is loaded", code="PROGRAM")
        for part, number in self._refusals:
            if part in str(site):
                error = OSError(number, os.strerror(number))
                raise explain(site, error, _ALL_PRIVILEGES) from error
        link = FakeLink(program_fd, site)
        self.links.append(link)
        return link

    def detach(self, links: Sequence[Link]) -> None:
        """Close links, the latest first."""
        for link in reversed(links):
            link.close()

    def open_ring(self, map_fd: int, size: int) -> FakeSource:
        """A source of what is pushed. Raises `LoadError` unless the map is a ring of that size."""
        self._check("open_ring")
        definition = self._map(map_fd)
        if definition.kind is not MapKind.RINGBUF or definition.max_entries != size:
            raise LoadError(f"{definition} is no ring buffer of {size} bytes", code="RING_MAP")
        return self._source()

    def open_perf(self, map_fd: int, pages_per_cpu: int, wakeup_bytes: int) -> FakeSource:
        """A source of what is pushed. Raises `LoadError` unless the map is for perf events."""
        self._check("open_perf")
        definition = self._map(map_fd)
        if definition.kind is not MapKind.PERF_EVENT_ARRAY:
            raise LoadError(f"{definition} takes no perf buffers", code="PERF_MAP")
        return self._source()

    def read_percpu(self, map_fd: int, key: int, value_size: int) -> list[bytes]:
        """What is in ``counters``, else zeros."""
        zeros = [bytes(value_size)] * self.cpus
        return list(self.counters.get((self._map(map_fd).name, key), zeros))

    def keys(self, map_fd: int, key_size: int) -> list[bytes]:
        """What is in ``pending``."""
        return list(self.pending.get(self._map(map_fd).name, ()))

    def recursion_misses(self, program_fd: int) -> int | None:
        """What a test has put in ``misses``."""
        return self.misses

    def watch_processes(self) -> FakeProcessWatch:
        """A watch that tells what it is pushed; ``watches`` has all."""
        self._check("watch_processes")
        watch = FakeProcessWatch()
        self.watches.append(watch)
        return watch

    def close_fd(self, fd: int) -> None:
        """Forget a map or program."""
        self.maps.pop(fd, None)
        self.programs.pop(fd, None)

    def _source(self) -> FakeSource:
        source = FakeSource()
        source.push(self._early)
        self._early.clear()
        self.record_sources.append(source)
        return source

    def _map(self, fd: int) -> MapDef:
        if fd not in self.maps:
            raise LoadError(f"there is no map {fd}", code="MAP")
        return self.maps[fd]

    def _number(self) -> int:
        self._next_fd += 1
        return self._next_fd

    def _check(self, method: str) -> None:
        if method in self._failures:
            raise self._failures[method]
