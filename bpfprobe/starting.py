"""From probes to programs that are attached, by the shortest way there is.

A start that is kept and still right needs neither parser nor types nor compiler. Otherwise all
stages run, the compiler only for C that it has not compiled before, and the start is kept for the
next time.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

from bpfprobe.attach.attachment import Attachment
from bpfprobe.errors import AttachError, BpfprobeError, LoadError
from bpfprobe.model.notice import Notice
from bpfprobe.probes import Probe
from bpfprobe.resource_error import explained
from bpfprobe.reviving import revived
from bpfprobe.store.code import find_code, keep_code
from bpfprobe.store.starts import drop_start, find_start, keep_start, option_values, start_name
from bpfprobe.target.identity import boot_id
from bpfprobe.target.pid_namespace import pid_namespace, refuse_outsiders
from bpfprobe.target.threads import thread_is_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from bpfprobe.engine import Engine
    from bpfprobe.model.object import Bytecode, CSource, Object, Wiring
    from bpfprobe.model.options import Options
    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.objects import BuiltObject
    from bpfprobe.target import Target


@explained
def attach(
    probes: Sequence[Probe | ProbeSpec],
    options: Options,
    target: Target | None = None,
    engine: Engine | None = None,
    built: BuiltObject | None = None,
    notify: Callable[[Notice], object] = lambda notice: None,
) -> Attachment:
    """Compile what has not been compiled before, load and attach; nothing is with ``built``.

    Before anything is attached, ``notify`` is told of probes that go to several places. Starts are
    kept for this machine alone: not with a ``target``, nor with an ``engine`` that does not say
    which compiler it has. Raises what `Session` does.
    """
    if target is None:
        refuse_outsiders(_asked_pids(probes, options))
    ours = target is None and (engine is None or bool(engine.compiler()))
    name = _name(probes, options, built) if ours else None
    engine = engine or live_engine()
    if name is not None:
        made = _kept(name, probes, options, engine)
        if made is not None:
            try:
                return _attached(made, engine, notify)
            except (AttachError, LoadError):
                drop_start(name)  # whatever it is, all stages together say best what
    engine.check_privilege()
    with compiler_ahead(probes, engine, built) as ahead:
        return _from_the_beginning(probes, options, target, engine, name, built, notify, ahead)


def _asked_pids(probes: Sequence[Probe | ProbeSpec], options: Options) -> list[int]:
    """The processes and threads that are asked for by their numbers."""
    of_probes = [probe.description.pid for probe in probes if isinstance(probe, Probe)]
    asked = [options.pid, options.tid, options.not_pid, *of_probes]
    return [pid for pid in asked if pid is not None]


def compiler_ahead(
    probes: Sequence[Probe | ProbeSpec], engine: Engine, built: BuiltObject | None
) -> ExitStack:
    """A compiler that starts while the probes are looked into, if they are sure to need one.

    To be closed once it has compiled, before anything is attached.
    """
    ahead = ExitStack()
    # What was described before was most likely compiled before, if not for this boot.
    if built is None and any(isinstance(probe, Probe) and probe.is_new for probe in probes):
        ahead.enter_context(engine.compiling_soon())
    return ahead


def _name(
    probes: Sequence[Probe | ProbeSpec], options: Options, built: BuiltObject | None
) -> str | None:
    described = [probe.description for probe in probes if isinstance(probe, Probe)]
    if len(described) < len(probes):
        return None
    machine = f"{boot_id()} {pid_namespace()}" if boot_id() else ""
    return start_name(described, options, machine, built.origin if built else b"")


def _attached(made: Object, engine: Engine, notify: Callable[[Notice], object]) -> Attachment:
    tell_of_many(made.wiring, notify)
    attachment = Attachment(made.wiring, engine, thread_is_inside)
    attachment.attach(lambda: made.programs)
    return attachment


def tell_of_many(wiring: Wiring, notify: Callable[[Notice], object]) -> None:
    """Say of each probe that goes to several places how many they are, and where none is left."""
    for probe in wiring.probes:
        if probe.places > 1:
            notify(Notice("PLACES", f"{probe.layout.name} goes to {probe.places} places"))
        sites = [probe.site, *(site for _, site in probe.more)]
        if probe.entry_site is not None or any(getattr(site, "returns", True) for site in sites):
            from bpfprobe.model.never_returns import never_returning  # most probes are entries

            names = never_returning(sites)
            if names:
                shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
                never = "never returns" if len(names) == 1 else "never return"
                text = f"{shown} {never}: {probe.layout.name} has no event of it"
                notify(Notice("NEVER_RETURNS", text))


def _kept(
    name: str, probes: Sequence[Probe | ProbeSpec], options: Options, engine: Engine
) -> Object | None:
    """The object of a start that is kept, with the values and processes of now."""
    start = find_start(name)
    if start is None:
        return None
    # Where the compiler has gone, what it made is still right.
    if start.compiler and engine.compiler() not in ("", start.compiler):
        return None
    pids = [probe.description.pid for probe in probes if isinstance(probe, Probe)]
    return revived(start, pids, option_values(options))


def _from_the_beginning(
    probes: Sequence[Probe | ProbeSpec],
    options: Options,
    target: Target | None,
    engine: Engine,
    name: str | None,
    built: BuiltObject | None,
    notify: Callable[[Notice], object],
    ahead: ExitStack,
) -> Attachment:
    from bpfprobe.attach.refusal import tracing_places
    from bpfprobe.keeping import kept_start
    from bpfprobe.pipeline import describe
    from bpfprobe.plan.obstacles import refuse_obstacles
    from bpfprobe.signals import let_through
    from bpfprobe.target.premises import Witness
    from bpfprobe.target.site_files import SiteFiles

    since_ns = time.time_ns()
    witness = Witness(target or live_target())
    asked: Any = witness  # it answers whatever a target does
    with let_through():
        made = describe(probes, asked, options)
    files = SiteFiles(made.wiring)
    refuse_obstacles(made.plan)
    tell_of_many(made.wiring, notify)
    attachment = Attachment(made.wiring, engine, thread_is_inside)

    def programs() -> tuple[Bytecode, ...]:
        codes = built.programs_for(made, asked) if built else compiled(made.source, engine)
        ahead.close()
        files.refuse_changed()
        compiler = "" if built else engine.compiler()
        start = None
        if name is not None and (built or compiler):
            start = kept_start(made, codes, options, compiler, witness, since_ns)
        if name is not None and start is not None:
            # Before anything is attached: that we write a file is nobody's event.
            keep_start(name, start)
        return codes

    try:
        with tracing_places(made.plan):
            attachment.attach(programs, made.source)
    except BpfprobeError:
        if name is not None:
            drop_start(name)
        raise
    return attachment


def compiled(source: CSource, engine: Engine) -> tuple[Bytecode, ...]:
    """The programs of a C text, compiled only if they were not before. Raises `CompileError`."""
    compiler = engine.compiler()
    found = find_code(source, compiler) if compiler else None
    if found is None:
        found = engine.compile(source)
        if compiler:
            keep_code(source, compiler, found)
    return found


def live_target() -> Target:
    """The machine underneath."""
    from bpfprobe.target.live import LiveTarget

    return LiveTarget()


def live_engine() -> Engine:
    """The compiler and the kernel of this machine."""
    from bpfprobe.engine.live import LiveEngine

    return LiveEngine()
