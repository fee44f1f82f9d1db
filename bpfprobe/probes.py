"""Probes from Python calls, and from text.

Each capture is a keyword: ``path="filename:ustring"``. A capture that is called like an option
(``filter``, ``event``), or nearly so, goes into ``captures={"filter": "..."}``.
"""

from __future__ import annotations

from bpfprobe.errors import SessionError
from bpfprobe.model.description import DEFAULT_STRING_BYTES, DEFINITION, Description
from bpfprobe.model.noun import replace
from bpfprobe.model.options import OptionError
from bpfprobe.store.known import is_known, remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bpfprobe.model.spec import ProbeSpec


class Probe:
    """A probe that was described. What it says is parsed when that is needed.

    A description is parsed when it is made, and what is wrong with it raised there, unless the same
    one has been found right before: then a start that needs nothing else of it never parses it.
    """

    __slots__ = ("_spec", "description", "is_new")

    def __init__(self, description: Description) -> None:
        self.description = description
        self._spec: ProbeSpec | None = None
        self.is_new = not is_known(description)
        """Whether nobody has described the same before, as far as that is kept."""
        if self.is_new:
            _ = self.spec
            remember(description)

    @property
    def spec(self) -> ProbeSpec:
        """What was asked for, as the other stages want it."""
        if self._spec is None:
            from bpfprobe.parse.builder import build  # a warm start parses nothing

            self._spec = build(self.description)
        return self._spec

    @property
    def name(self) -> str:
        """The name of its events."""
        return self.spec.name

    def of_process(self, pid: int) -> Probe:
        """The same probe; a place in a program is looked up, and probed, in that process alone."""
        return Probe(replace(self.description, pid=pid))

    def __str__(self) -> str:
        return str(self.spec)

    def __repr__(self) -> str:
        return f"<Probe {self}>"


def check_probe(given: object) -> None:
    """Raise `OptionError` for what is neither a probe nor the spec of one."""
    if isinstance(given, Probe):
        return
    from bpfprobe.model.spec import ProbeSpec  # a warm start has none

    if isinstance(given, ProbeSpec):
        return
    if isinstance(given, str):
        raise OptionError("not a probe but a text", hint=f"bp.probe({given!a}) makes one of it")
    raise OptionError(
        f"a probe is what bp.kprobe() and its likes return, not a {type(given).__name__}",
        hint="several are given one by one: Session(*probes)",
    )


def check_parts(probes: Sequence[object], target: object, engine: object) -> None:
    """Raise `OptionError` for what a session cannot be made of."""
    for given in probes:
        check_probe(given)
    if target is not None and not hasattr(target, "facts"):
        raise OptionError(
            f"target must be a Target, not a {type(target).__name__}",
            hint="leave it out for this machine; bpfprobe.testing has StaticTarget",
        )
    if engine is not None and not hasattr(engine, "create_map"):
        raise OptionError(
            f"engine must be an Engine, not a {type(engine).__name__}",
            hint="leave it out for this kernel; bpfprobe.testing has FakeEngine",
        )


def index_of(probes: Sequence[Probe | ProbeSpec], probe: Probe | ProbeSpec) -> int:
    """Return which of the probes of a session it is. Raises `SessionError`, `OptionError`."""
    for index, own in enumerate(probes):
        if own is probe:
            return index
    check_probe(probe)
    raise SessionError(f"{probe.name} is not a probe of this session")


def probe(definition: str) -> Probe:
    """A probe from text, in any form that ``bpfprobe trace`` takes.

    Raises `SpecError`.
    """
    return Probe(Description(DEFINITION, definition))


def kprobe(
    function: str,
    *,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> Probe:
    """The entry of a kernel function: ``vfs_read``, ``vfs_read+0x10``, ``module:function``.

    ``filter`` says which hits to keep; ``event`` names the event (the function's name by default);
    ``comm`` False leaves the thread's name out of the event; ``string_bytes`` bounds each string,
    its NUL included. Raises `SpecError` for what can be seen to be wrong without the machine.
    Needs a kernel with CONFIG_KPROBES.
    """
    return Probe(
        Description(
            "kprobe",
            function,
            filter=filter,
            event=event,
            captures=_pairs(kprobe, captures, values),
            comm=comm,
            string_bytes=string_bytes,
        )
    )


def kretprobe(
    function: str,
    *,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> Probe:
    """The return of a kernel function. Options as for `kprobe`.

    ``retval`` is what it returned and ``duration`` how long it took, in nanoseconds. A name of an
    argument means the value it was called with; memory behind it is read at the return, as the
    kernel does (``entry(...)`` reads at entry).
    """
    return Probe(
        Description(
            "kretprobe",
            function,
            filter=filter,
            event=event,
            captures=_pairs(kretprobe, captures, values),
            comm=comm,
            string_bytes=string_bytes,
        )
    )


def uprobe(
    path: str,
    sym: str | None = None,
    *,
    address: int | None = None,
    offset: int | None = None,
    pid: int | None = None,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    force: bool = False,
    **values: str,
) -> Probe:
    """A function of a program or library.

    Exactly one of ``sym`` (a symbol, ``name`` or ``name+0x10``, or the name that a C++ or Rust
    source has for it; a glob; ``file.c:42`` for a line of the source, with DWARF), ``address``
    (virtual, as nm(1) prints it) and ``offset`` (bytes into the file) says where.
    ``path`` is a file, a program in PATH, or a library as the loader finds it (``c``). With ``pid``
    only that process is probed. Other options as for `kprobe`.

    A place in the middle of an instruction is refused, where it can be told (with Capstone, and a
    symbol or .eh_frame for its function); ``force`` goes there unchecked.
    """
    return Probe(
        Description(
            "uprobe",
            path,
            symbol=sym,
            address=address,
            offset=offset,
            pid=pid,
            filter=filter,
            event=event,
            captures=_pairs(uprobe, captures, values),
            comm=comm,
            string_bytes=string_bytes,
            force=force,
        )
    )


def uretprobe(
    path: str,
    sym: str | None = None,
    *,
    address: int | None = None,
    offset: int | None = None,
    pid: int | None = None,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    force: bool = False,
    **values: str,
) -> Probe:
    """The return of a function of a program or library: `uprobe` with ``retval``, ``duration``.

    A Go program is refused, as its stacks move with the return address that the probe put there,
    which can crash it; ``force`` tries it all the same.
    """
    return Probe(
        Description(
            "uretprobe",
            path,
            symbol=sym,
            address=address,
            offset=offset,
            pid=pid,
            filter=filter,
            event=event,
            captures=_pairs(uretprobe, captures, values),
            comm=comm,
            string_bytes=string_bytes,
            force=force,
        )
    )


def usdt(
    path: str,
    marker: str,
    *,
    pid: int | None = None,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> Probe:
    """A marker (USDT) of a program or library: ``provider:name``, or the name alone.

    Its arguments are ``$arg1``, ``$arg2`` and so on, of the sizes that the program gave them. A
    marker with a semaphore is switched on in every process that runs the
    program, those that start later too, and off again however the tracer ends (Linux 4.20).
    ``path``, ``pid`` and other options as for `uprobe`.
    """
    return Probe(
        Description(
            "usdt",
            path,
            symbol=marker,
            pid=pid,
            filter=filter,
            event=event,
            captures=_pairs(usdt, captures, values),
            comm=comm,
            string_bytes=string_bytes,
        )
    )


def tracepoint(
    name: str,
    *,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> Probe:
    """A tracepoint, ``category:name``; its fields go by the names in its ``format`` file."""
    return Probe(
        Description(
            "tracepoint",
            name,
            filter=filter,
            event=event,
            captures=_pairs(tracepoint, captures, values),
            comm=comm,
            string_bytes=string_bytes,
        )
    )


def syscall(
    name: str,
    *,
    returns: bool | None = None,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> Probe:
    """A system call by its name in the manual, its arguments by theirs.

    It goes to what this kernel and its C library call: ``uname`` to newuname, ``stat`` to newstat
    and to those calls of newfstatat that are one. A name that nothing calls is refused with what
    is called instead, as far as tracefs tells (syscalls(2), glibc 2.33).
    ``returns`` True takes the event when the call returns, False when it begins; left open, it is
    the return exactly when ``retval`` or ``duration`` is asked for. Calls of 32-bit programs are
    not seen. Other options as for `kprobe`.
    """
    return Probe(
        Description(
            "syscall",
            name,
            returns=returns,
            filter=filter,
            event=event,
            captures=_pairs(syscall, captures, values),
            comm=comm,
            string_bytes=string_bytes,
        )
    )


def _pairs(
    constructor: Any, captures: Mapping[str, str] | None, values: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return all captures. Raises `SpecError` for a keyword that is nearly an option's."""
    options: Mapping[str, object] = constructor.__kwdefaults__
    for name in values:
        if any(len({*name} ^ {*option}) <= 2 for option in options):  # few are so near
            from bpfprobe.model.misspelt import check_capture_keyword

            check_capture_keyword(name, values[name], options)
    if captures is not None and not hasattr(captures, "items"):
        raise OptionError(
            f"captures must be a dict of names and values, not a {type(captures).__name__}",
            hint='captures={"filter": "$arg1"}',
        )
    return (*(captures or {}).items(), *values.items())
