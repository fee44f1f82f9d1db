"""The engine that works: BCC in a child process, and the running kernel."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress

from bpfprobe.engine import bpf, loader
from bpfprobe.engine.attach import Attacher, recursion_misses
from bpfprobe.engine.cpus import possible_cpus
from bpfprobe.engine.fork_guard import ForkGuard, OwnedFd
from bpfprobe.engine.mapped_value import MappedValue, await_programs
from bpfprobe.engine.syscalls import Kernel
from bpfprobe.errors import LoadError
from bpfprobe.model.object import AttachType, Bytecode
from bpfprobe.model.site import UserSite, UserSites

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfprobe.engine import Link
    from bpfprobe.engine.compiler_process import CompilerProcess
    from bpfprobe.engine.perf_buffer import PerfBuffer
    from bpfprobe.engine.process_watch import ProcessWatch
    from bpfprobe.engine.ring_buffer import RingBuffer
    from bpfprobe.model.object import CSource, MapDef
    from bpfprobe.model.site import Site

_MAP_INFO_SIZE = 20  # struct bpf_map_info up to max_entries, its fifth u32


class LiveEngine:
    """See `bpfprobe.engine.Engine` for what each method does.

    Whatever it opened is closed in a forked child, where it is of no use any more. One thread may
    load and attach while another reads; nothing else is for several threads at once.
    """

    def __init__(self) -> None:
        self._kernel = Kernel()
        self._guard = ForkGuard()
        self._attacher = Attacher(self._kernel, self._guard)
        self._fds: dict[int, OwnedFd] = {}
        self._for_many: set[int] = set()
        self._cpus = 0
        self._compiler: CompilerProcess | None = None

    def compile(self, source: CSource) -> tuple[Bytecode, ...]:
        """Compile with BCC. What was compiled before never comes here."""
        from bpfprobe.engine.compiler import compile_c  # a warm start compiles nothing

        names = [program.name for program in source.programs]
        waiting, self._compiler = self._compiler, None
        made = compile_c(source.text, source.header, names, waiting=waiting)
        return tuple(
            Bytecode(program, function.instructions, function.lines)
            for program, function in zip(source.programs, made, strict=True)
        )

    @contextmanager
    def compiling_soon(self) -> Iterator[None]:
        """Start BCC, which takes as long to load as a description to be worked out."""
        from bpfprobe.engine.compiler_identity import compiles_elsewhere

        if compiles_elsewhere():
            yield
            return
        from bpfprobe.engine.compiler_process import CompilerProcess  # a warm start has none

        with ExitStack() as ending:
            with suppress(OSError):  # why it cannot be is told when it is needed
                self._compiler = ending.enter_context(CompilerProcess(self._guard))
            try:
                yield
            finally:
                self._compiler = None

    def compiler(self) -> str:
        """By the file of libbcc, found as the loader finds it."""
        from bpfprobe.engine.compiler_identity import compiler_identity  # not for all starts

        return compiler_identity()

    def check_privilege(self) -> None:
        """By the capabilities of this process."""
        from bpfprobe.engine.privilege import refuse_without_privilege  # a warm start had it

        refuse_without_privilege()

    def create_map(self, definition: MapDef) -> int:
        """Create a map and give its descriptor."""
        return self._own(loader.create_map(self._kernel, definition))

    def map_value(self, map_fd: int, size: int) -> MappedValue:
        """Map the value that programs read theirs from."""
        try:
            return MappedValue(self._kernel, self._guard, map_fd, size)
        except OSError as error:
            raise LoadError(
                f"the kernel would not let the values of programs be written: {error.strerror}",
                errno=error.errno or 0,
                code="MAP_WRITE",
            ) from error

    def await_programs(self) -> None:
        """By a grace period of RCU."""
        await_programs(self._kernel)

    def load(self, bytecode: Bytecode, map_fds: Sequence[int]) -> int:
        """Load a program and give its descriptor."""
        fd = self._own(loader.load(self._kernel, bytecode, map_fds))
        if bytecode.program.attach_type is AttachType.UPROBE_MULTI:
            self._for_many.add(fd)
        return fd

    def attach(self, program_fd: int, site: Site) -> Link:
        """Attach a loaded program."""
        if isinstance(site, UserSite | UserSites):
            return self._attach_user(program_fd, site)
        return self._attacher.attach(program_fd, site)

    def _attach_user(self, program_fd: int, site: UserSite | UserSites) -> Link:
        from bpfprobe.engine import attach_many  # not for the kernel's own places

        if program_fd in self._for_many:
            return attach_many.attach_by_one_link(
                self._kernel, self._guard, self._attacher, program_fd, site
            )
        if isinstance(site, UserSites):
            return attach_many.attach_one_by_one(self._attacher, program_fd, site)
        return self._attacher.attach(program_fd, site)

    def detach(self, links: Sequence[Link]) -> None:
        """Close them all at once: each close waits for the kernel, and they can wait together."""
        if len(links) < 2:
            for link in links:
                link.close()
            return
        from bpfprobe.engine.closing import close_together  # not for a single probe

        close_together(links)

    def open_ring(self, map_fd: int, size: int) -> RingBuffer:
        """Map a ring buffer."""
        from bpfprobe.engine.ring_buffer import RingBuffer  # only one of the two is ever needed

        return RingBuffer(self._kernel, self._guard, map_fd, size)

    def open_perf(self, map_fd: int, pages_per_cpu: int, wakeup_bytes: int) -> PerfBuffer:
        """Open the perf buffers of all CPUs."""
        from bpfprobe.engine.available_memory import check_available  # as above
        from bpfprobe.engine.perf_buffer import PerfBuffer

        check_available(pages_per_cpu)
        return PerfBuffer(self._kernel, self._guard, map_fd, pages_per_cpu, wakeup_bytes)

    def read_percpu(self, map_fd: int, key: int, value_size: int) -> list[bytes]:
        """The value of each possible CPU. Raises `LoadError` (code MAP_READ)."""
        # Counted once: it never changes, and a tracer of open() would see each look at the file.
        count = self._cpus = self._cpus or len(possible_cpus())
        step = (value_size + 7) // 8 * 8
        try:
            data = bpf.lookup(self._kernel, map_fd, key.to_bytes(4, "little"), step * count)
        except OSError as error:
            raise _unreadable(error) from error
        return [data[at : at + value_size] for at in range(0, step * count, step)]

    def keys(self, map_fd: int, key_size: int) -> list[bytes]:
        """The keys that are there; those that come or go meanwhile may be in it or not."""
        found: dict[bytes, None] = {}
        try:
            info = bpf.object_info(self._kernel, map_fd, _MAP_INFO_SIZE)
            # After a key that has just gone the kernel starts again, so the walk needs a bound.
            left = 2 * int.from_bytes(info[16:20], "little")
            key = bpf.next_key(self._kernel, map_fd, None, key_size)
            while key is not None and left:
                found[key] = None
                left -= 1
                key = bpf.next_key(self._kernel, map_fd, key, key_size)
        except OSError as error:
            raise _unreadable(error) from error
        return list(found)

    def recursion_misses(self, program_fd: int) -> int | None:
        """Hits for which the program did not run, being busy on that CPU."""
        try:
            return recursion_misses(self._kernel, program_fd)
        except OSError as error:
            raise _unreadable(error) from error

    def watch_processes(self) -> ProcessWatch:
        """By perf events, one a CPU."""
        from bpfprobe.engine.process_watch import AT_ONCE, ProcessWatch  # few sessions follow

        return ProcessWatch(self._kernel, self._guard, AT_ONCE)

    def close_fd(self, fd: int) -> None:
        """Close a map or program of this engine; another number is left alone."""
        owned = self._fds.pop(fd, None)
        self._for_many.discard(fd)
        if owned is not None:
            self._guard.forget(owned)
            owned.close()

    def _own(self, fd: int) -> int:
        owned = self._fds[fd] = OwnedFd(fd)
        self._guard.keep(owned)
        return fd


def _unreadable(error: OSError) -> LoadError:
    return LoadError(
        f"the kernel would not say what is in a map or program: {error.strerror}",
        errno=error.errno or 0,
        code="MAP_READ",
    )
