"""Starts a session that follows: all stages run, and files that are not there yet are awaited."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, cast

from bpfprobe.attach.attachment import Attachment
from bpfprobe.errors import SessionError
from bpfprobe.follow.family import Family
from bpfprobe.follow.following import Following
from bpfprobe.follow.probe import FollowedProbe
from bpfprobe.follow.variants import Variants
from bpfprobe.model.layout import FieldKind
from bpfprobe.model.place import Place
from bpfprobe.model.site import UserSite, UserSites
from bpfprobe.model.spec import UsdtPoint, UserPoint
from bpfprobe.pipeline import describe, spec_of
from bpfprobe.plan.obstacles import refuse_obstacles
from bpfprobe.resource_error import explained
from bpfprobe.signals import let_through
from bpfprobe.starting import compiled, compiler_ahead, live_engine, live_target, tell_of_many
from bpfprobe.target.awaiting import AwaitingTarget
from bpfprobe.target.process_files import LiveProcessFiles
from bpfprobe.target.site_files import SiteFiles
from bpfprobe.target.threads import thread_is_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfprobe.engine import Engine
    from bpfprobe.model.notice import Notice
    from bpfprobe.model.object import Bytecode
    from bpfprobe.model.options import Options
    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.objects import BuiltObject
    from bpfprobe.pipeline import Compilation
    from bpfprobe.probes import Probe
    from bpfprobe.target import Target
    from bpfprobe.target.process_files import ProcessFiles


class Followed(NamedTuple):
    """What is open now. ``target`` knows what is awaited."""

    attachment: Attachment
    following: Following
    target: Target


@explained
def begin_following(
    probes: Sequence[Probe | ProbeSpec],
    options: Options,
    target: Target | None,
    engine: Engine | None,
    built: BuiltObject | None,
    notify: Callable[[Notice], object],
    files: ProcessFiles | None = None,
) -> Followed:
    """Attach to what is there, and then to what comes. Raises what `Session` does."""
    specs = tuple(spec_of(probe) for probe in probes)
    _check(specs, options)
    engine, files = engine or live_engine(), files or LiveProcessFiles()
    awaiting = AwaitingTarget(target or live_target(), [spec.point for spec in specs])
    as_target = cast("Target", awaiting)

    def programs(made: Compilation) -> Sequence[Bytecode]:
        return built.programs_for(made, as_target) if built else compiled(made.source, engine)

    with compiler_ahead(probes, engine, built) as ahead, ExitStack() as undo:
        watch = engine.watch_processes()  # first: what is mapped from now on is told
        undo.callback(watch.close)
        with let_through():
            made = describe(specs, as_target, options)
        site_files = SiteFiles(made.wiring)
        refuse_obstacles(made.plan)
        tell_of_many(made.wiring, notify)
        followed = _followed_probes(made, awaiting, options, files)
        waiting = {index for index in followed if _is_awaited(specs[index], awaiting)}
        _refuse_names_to_come(made, waiting)
        attachment = Attachment(made.wiring, engine, thread_is_inside)

        def first_programs() -> Sequence[Bytecode]:
            codes = programs(made)
            ahead.close()
            site_files.refuse_changed()
            return codes

        links = attachment.attach(first_programs, made.source, waiting)
        undo.callback(attachment.close)
        for index, probe in followed.items():
            if index not in waiting:
                probe.add(_place(made, index, files), links[index])
        variants = Variants(
            made, attachment, attachment.programs, programs, options, as_target, files
        )
        following = Following(followed.values(), variants, watch, files, notify)
        undo.callback(following.end)
        following.begin()
        undo.pop_all()
    return Followed(attachment, following, as_target)


def _check(specs: Sequence[ProbeSpec], options: Options) -> None:
    of_programs = [s.point for s in specs if isinstance(s.point, UserPoint | UsdtPoint)]
    if not of_programs:
        raise SessionError(
            "there is nothing to follow: no probe is of a program or library",
            hint="probes of the kernel see all processes without follow (--follow)",
            code="FOLLOW_NOTHING",
        )
    of_processes = [point for point in of_programs if point.pid is not None]
    if of_processes and len(of_processes) < len(specs):
        raise SessionError(
            "of one process and its children only places in programs can be followed, and another "
            "probe is not of one",
            hint="a session for each, or no pid",
            code="FOLLOW_MIXED",
        )
    if of_processes and options.pid is not None:
        raise SessionError(
            "pid= keeps the hits of one process, and its children are followed as well",
            hint="leave pid= out: the probe names its process",
            code="FOLLOW_PID",
        )


def _followed_probes(
    made: Compilation, awaiting: AwaitingTarget, options: Options, files: ProcessFiles
) -> dict[int, FollowedProbe]:
    families: dict[int, Family] = {}
    followed = {}
    for index, spec in enumerate(made.specs):
        point = spec.point
        if not isinstance(point, UserPoint | UsdtPoint):
            continue
        family = None
        if point.pid is not None:
            if point.pid not in families:
                families[point.pid] = Family(point.pid, files.parents())
            family = families[point.pid]
        wanted = files.wanted(point.path, point.pid, awaiting.found.get((point.path, point.pid)))
        name = made.wiring.probes[index].layout.name
        followed[index] = FollowedProbe(index, name, wanted, family, options.max_places)
    return followed


def _is_awaited(spec: ProbeSpec, awaiting: AwaitingTarget) -> bool:
    point = spec.point
    return isinstance(point, UserPoint | UsdtPoint) and (point.path, point.pid) in awaiting.awaited


def _refuse_names_to_come(made: Compilation, waiting: set[int]) -> None:
    """The names that ``func`` has in events must be known from the beginning."""
    for index in sorted(waiting):
        layout = made.wiring.probes[index].layout
        if any(field.kind is FieldKind.NAME for field in layout.fields):
            raise SessionError(
                f"{layout.name} is to tell which function was hit, and its file is not there yet, "
                "which alone says what functions it has",
                hint="leave func out, or name the functions one by one",
                code="FOLLOW_SHAPE",
            )


def _place(made: Compilation, index: int, files: ProcessFiles) -> Place:
    wiring = made.wiring.probes[index]
    site = wiring.site
    assert isinstance(site, UserSite | UserSites)
    key = files.key(site.path)
    device, inode = key if key is not None else (0, 0)
    return Place(wiring.layout.name, site.path, site.pid, device, inode, wiring.places)
