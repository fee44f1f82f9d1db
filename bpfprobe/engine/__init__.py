"""EDGE: the kernel and the compiler. The only package that talks to libbcc, libbpf and perf.

`Engine` is the protocol; `LiveEngine` does the work, `bpfprobe.testing.FakeEngine` pretends to.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol

    from bpfprobe.model.chunk import Chunk
    from bpfprobe.model.mapping import ProcessRecord
    from bpfprobe.model.object import Bytecode, CSource, MapDef
    from bpfprobe.model.site import Site
else:
    Protocol = object


class Link(Protocol):
    """A program attached to a site, until closed."""

    def missed(self) -> int | None:
        """Hits for which the kernel did not run the program; None where it does not say."""
        ...

    def close(self) -> None:
        """Detach. Closing twice does nothing."""
        ...


class RecordSource(Protocol):
    """The records that programs sent, in order of arrival (a CPU at a time for perf buffers).

    They are looked at where they are and freed after; what was not freed comes again.
    """

    def filenos(self) -> tuple[int, ...]:
        """File descriptors that turn readable when there is something to look at.

        A perf buffer tells of a wake-up once: poll(2) takes it back, whether or not all was read,
        and may tell of one whose records were freed before. So look until there is nothing, and
        then wait. CPUs come and go: ask for the descriptors again each time.
        """
        ...

    def look(self, limit: int, limit_bytes: int) -> Chunk | None:
        """Records that are there now, at least one and at most ``limit``; None without any.

        No more than fit into ``limit_bytes`` of the buffer, but for the first. The memory may be
        the buffer's own: it is valid until `free` or the next `look`.
        """
        ...

    def free(self, count: int) -> None:
        """Make room where the first ``count`` records of the last `look` stood."""
        ...

    def lend(self) -> None:
        """What is looked at goes to a user: reading it later must do no harm, whatever it gives."""
        ...

    def progress(self) -> tuple[int, int]:
        """The bytes that were freed since it was opened, and those that were written."""
        ...

    def close(self) -> None:
        """Unmap and close. Closing twice does nothing."""
        ...


class MappedValue(Protocol):
    """The value of a map, to be written while programs read it."""

    def write(self, writes: Sequence[tuple[int, bytes]]) -> None:
        """Write offsets and bytes, both multiples of 8. Does nothing once closed.

        A program that reads meanwhile sees each u64 whole, and none before those of the writes that
        come before. The first u64 is written without a system call, which a session might trace.
        """
        ...

    def close(self) -> None:
        """Unmap. Closing twice does nothing."""
        ...


class ProcessWatch(Protocol):
    """Tells of processes of the whole machine; for one thread, but for `end`."""

    def wait(self) -> list[ProcessRecord]:
        """What has happened since the last call, at least one record; none once it has ended.

        In order for what one CPU did, in no order between CPUs. Sleeps until there is something.
        Raises `LoadError` (PROCESS_RECORDS) where a CPU has come online and cannot be watched.
        """
        ...

    def end(self) -> None:
        """Have `wait` return nothing from now on. From any thread."""
        ...

    def close(self) -> None:
        """Unmap and close; nobody may be in `wait`. Closing twice does nothing."""
        ...


class Engine(Protocol):
    """Everything that needs libbcc or the kernel. All sizes are in bytes."""

    def compile(self, source: CSource) -> tuple[Bytecode, ...]:
        """Compile C to bytecode with BCC, in a child process: LLVM may end the one it runs in.

        Needs no privilege. Raises `CompileError` or `MissingLibraryError`.
        """
        ...

    def compiling_soon(self) -> AbstractContextManager[object]:
        """While this is entered, `compile` will be asked for once, or it turns out that it is not.

        So a compiler can start beforehand; leaving ends it. Never raises.
        """
        ...

    def compiler(self) -> str:
        """Which compiler `compile` would use: another text for another one, or after a change.

        Empty where that cannot be said, or there is none: then nothing that it makes is kept.
        """
        ...

    def check_privilege(self) -> None:
        """Raise `PrivilegeError` where nothing could be loaded, whatever it is."""
        ...

    def create_map(self, definition: MapDef) -> int:
        """Create a map and give its file descriptor. Raises `LoadError`, `PrivilegeError`."""
        ...

    def map_value(self, map_fd: int, size: int) -> MappedValue:
        """Map the value (``size`` bytes) of an ARRAY of one entry, made with MMAPABLE.

        Raises `LoadError` (MAP_WRITE).
        """
        ...

    def await_programs(self) -> None:
        """Return when no program runs any more that runs now."""
        ...

    def load(self, bytecode: Bytecode, map_fds: Sequence[int]) -> int:
        """Put the map fds into the instructions, load the program, give its file descriptor.

        Raises `VerifierError`, `LoadError`, `PrivilegeError`.
        """
        ...

    def attach(self, program_fd: int, site: Site) -> Link:
        """Attach a program. Raises `AttachError`, `PrivilegeError`."""
        ...

    def detach(self, links: Sequence[Link]) -> None:
        """Close links, all at once where that is quicker."""
        ...

    def open_ring(self, map_fd: int, size: int) -> RecordSource:
        """Map the ring buffer of ``size`` bytes behind a RINGBUF map (Linux 5.8)."""
        ...

    def open_perf(self, map_fd: int, pages_per_cpu: int, wakeup_bytes: int) -> RecordSource:
        """Open a perf buffer on each CPU, also for those that come online later."""
        ...

    def read_percpu(self, map_fd: int, key: int, value_size: int) -> list[bytes]:
        """The value under ``key`` of a PERCPU_ARRAY, one for each possible CPU."""
        ...

    def keys(self, map_fd: int, key_size: int) -> list[bytes]:
        """The keys that a hash map holds now."""
        ...

    def recursion_misses(self, program_fd: int) -> int | None:
        """Hits for which a program did not run, since a program ran on that CPU already.

        None before Linux 5.12. Kprobes, uprobes and tracepoints are counted since Linux 6.7 (commit
        dd8657894c11); before that it stays 0.
        """
        ...

    def watch_processes(self) -> ProcessWatch:
        """What processes do from now on. Raises `LoadError`, `PrivilegeError`."""
        ...

    def close_fd(self, fd: int) -> None:
        """Close a map or program that this engine made; any other number is left alone."""
        ...
