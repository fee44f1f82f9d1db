"""What a user holds open: probes that are attached, and their events."""

from __future__ import annotations

import os
import time

from bpfprobe.abandoned import Held, close_when_dropped, notify_weakly
from bpfprobe.delivery import Delivery
from bpfprobe.elsewhere import tell_of_other_files
from bpfprobe.errors import SessionError
from bpfprobe.model.options import Options, check_callable, check_option_names
from bpfprobe.model.statistics import Statistics
from bpfprobe.probes import check_parts, index_of
from bpfprobe.session_reader import SessionReader
from bpfprobe.signals import all_or_nothing, exit_on_sigterm, held_back
from bpfprobe.starting import attach, live_target
from bpfprobe.user_addresses import may_have_user_addresses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Never, Self

    from bpfprobe.attach.attachment import Attachment
    from bpfprobe.deliver.stack import Frame
    from bpfprobe.engine import Engine
    from bpfprobe.follow.begin import Followed
    from bpfprobe.follow.following import Following
    from bpfprobe.model.event import Event
    from bpfprobe.model.machine import SymbolRange
    from bpfprobe.model.notice import Notice
    from bpfprobe.model.place import Awaited, Place
    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.model.symbol import Symbolizer
    from bpfprobe.names import Names
    from bpfprobe.objects import BuiltObject
    from bpfprobe.probes import Probe
    from bpfprobe.target import Target
    from bpfprobe.update import InForce

    Callback = Callable[[Event], object]


class Session(SessionReader):
    """Attaches probes for as long as it is open.

    Use it as a context manager and iterate over it (``with`` and ``for``, or in asyncio ``async
    with`` and ``async for``), or register callbacks with `on` and call `run`. On leaving, whatever
    the reason, everything is detached. Keyword arguments are those of `bpfprobe.Options`. While it
    is open in the main thread, SIGTERM ends the program through SystemExit, unless the program
    handles the signal itself.

    With ``follow=True`` a thread of its own goes on to attach to files of programs and libraries
    that come later, and a file that is not there yet is no error: a library that is loaded by
    dlopen(3), another file of the same path or name in another mount namespace, and for a probe
    with a ``pid`` all processes that descend from it. The kernel tells of each file that is mapped
    to run code from; the process is not stopped meanwhile, so what it calls in the first
    milliseconds is not seen. `places` and `waits_for` say how far that is, `on_notice` when it
    changes. Such a start is not kept. It needs CAP_PERFMON.

    Raises `SpecError`, `TargetError`, `PrivilegeError`, `MissingLibraryError`, `CompileError`,
    `LoadError`, `AttachError`, all on entering.
    """

    def __init__(
        self,
        *probes: Probe | ProbeSpec,
        target: Target | None = None,
        engine: Engine | None = None,
        **options: Any,
    ) -> None:
        if not probes:
            raise SessionError("a session needs a probe", hint="Session(kprobe('vfs_read'))")
        check_parts(probes, target, engine)
        self.probes = probes
        """The probes, in the order in which they were given."""
        self._options = Options(**options)
        self._target = target
        self._engine = engine
        self._built: BuiltObject | None = None
        self._callbacks: dict[int, Callback] = {}
        self._attachment: Attachment | None = None
        self._delivery: Delivery | None = None
        self._final: Statistics | None = None
        self._in_force: InForce | None = None
        self._opened_ns = 0  # on the clock of the files
        self._owner = 0  # the process that opened it
        self._release_sigterm: Callable[[], None] = lambda: None
        self._keep: Callable[[], object] = lambda: None
        self._idle_action: Callable[[], object] | None = None
        self._notice_action: Callable[[Notice], object] | None = None
        self._followed: Followed | None = None
        self._names: Names | None = None

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        trust_object: bool = False,
        target: Target | None = None,
        engine: Engine | None = None,
        in_process: bool = True,
        **options: Any,
    ) -> Self:
        """A session of the probes in an object that ``bpfprobe build`` made; nothing is compiled.

        Root runs one that others can write to with ``trust_object`` alone. With ``pid`` places in
        programs are looked up in that process, as with ``bpfprobe trace``, unless ``in_process`` is
        False: then only hits of that process are kept.
        On opening, what the probes depend on is looked up on this machine; `ObjectError`
        (OBJECT_DIFFERS) says what is not as it was where the object was built for. Raises
        `TargetError` and `ObjectError` for a file that is none, and what `Session` raises.
        """
        from bpfprobe.objects import read_object

        built = read_object(path, trust_object=trust_object)
        probes = built.probes(options.get("pid") if in_process else None)
        session = cls(*probes, target=target, engine=engine, **built.options | options)
        session._built = built
        return session

    def __enter__(self) -> Self:
        try:
            self.open()
            return self
        except (KeyboardInterrupt, SystemExit):  # between the two: whoever enters will not leave
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Compile, load and attach. Entering the session does it."""
        if self._is_open or self._final is not None:
            raise SessionError("the session has been opened before", hint="make another one")
        self._owner = os.getpid()
        with all_or_nothing(self.close):
            self._begin_names()
            self._attachment = attachment = self._attach()
            self._opened_ns = time.time_ns()
            self._delivery = Delivery(attachment, self._options, self._idle, self._symbol_at)
            self._release_sigterm = exit_on_sigterm()
            held = (attachment, self._names, self._followed, self._release_sigterm)
            self._keep = close_when_dropped(self, Held(self.probes, self._owner, *held))
            is_told = self._notice_action is not None and self._followed is None
            if is_told and self._target is None:
                tell_of_other_files(attachment.wiring, self._options, self._notify)

    def _attach(self) -> Attachment:
        asked = (self.probes, self._options, self._target, self._engine, self._built)
        if not self._options.follow:
            return attach(*asked, self._notify)
        from bpfprobe.follow.begin import begin_following  # most sessions do not follow

        self._followed = begin_following(*asked, notify_weakly(self._notify))
        return self._followed.attachment

    def _begin_names(self) -> None:
        """Programs that end before their events are read keep their names, where any are wanted."""
        if any(may_have_user_addresses(probe) for probe in self.probes):
            self._known_names().watch()

    def _known_names(self) -> Names:
        if self._names is None:
            from bpfprobe.names import Names  # most sessions have no addresses

            self._names = Names(self._target)
        return self._names

    def _symbol_at(self, address: int) -> SymbolRange | None:
        """For an event whose address is asked for its symbol, which may be after the session."""
        return self._known_names().symbol_at(address)

    def c_source(self) -> str:
        """The C that BCC would compile on this target. Attaches nothing and needs no root."""
        from bpfprobe.pipeline import describe  # not for sessions that were opened before

        target = self._target or live_target()
        return describe(self.probes, target, self._options).source.text

    def update(
        self,
        probe: Probe | ProbeSpec | None = None,
        /,
        *,
        filter: str | None = None,
        pid: int | None = None,
        tid: int | None = None,
        uid: int | None = None,
        not_pid: int | None = None,
        **unknown: Never,
    ) -> None:
        """Have the programs that run keep other hits: no hit is lost, none judged by halves.

        ``filter`` is a new one for ``probe``, or for the only probe there is; the others stand for
        the options of the same name. Numbers that values are compared with, texts and globs can
        change; all else is code, also a number inside of arithmetic (the 3 of
        ``(flags & 3) == 1``), and stays as it was when the session was opened. Of text, about the
        same length fits; an option must have been given a value when the session was opened.

        When it returns, nothing is judged by the old values any more, but calls that wait for their
        return and whose beginning was. What is refused changes nothing. Takes some milliseconds.
        Raises `SpecError` for a filter that is wrong in itself, `SessionError` (code UPDATE_SHAPE)
        for one that needs other code, `OptionError`.
        """
        changes = {"pid": pid, "tid": tid, "uid": uid, "not_pid": not_pid}
        check_option_names(unknown, ("filter", *changes))
        attachment = self._attachment
        if attachment is None:
            raise SessionError("the session is not open", hint="with Session(...) as session:")
        from bpfprobe.target.pid_namespace import refuse_outsiders
        from bpfprobe.update import as_opened, describe_update  # most sessions stay as they began

        given = {name: number for name, number in changes.items() if number is not None}
        if self._target is None:
            refuse_outsiders(given[name] for name in ("pid", "tid", "not_pid") if name in given)
        index = None if filter is None and probe is None else self._index_to_update(probe)
        if self._in_force is None:
            target = self._followed.target if self._followed else self._target or live_target()
            self._in_force = as_opened(self.probes, self._options, target)
        update = describe_update(self._in_force, index, filter, given)
        attachment.hand(update.parameters)
        self._in_force = update

    def _index_to_update(self, probe: Probe | ProbeSpec | None) -> int:
        if probe is not None:
            return index_of(self.probes, probe)
        if len(self.probes) > 1:
            raise SessionError(
                "several probes are open, and the filter is for one",
                hint="session.update(probe, filter=...)",
            )
        return 0

    @held_back()
    def close(self) -> None:
        """Detach everything, from any thread. Closing twice does nothing.

        Dropped without it, a session closes with a ResourceWarning. A forked child has nothing of
        it: there it only says so. Raises `SessionError` (OWN_THREAD) in an action of `on_notice`
        that a thread of the session calls.
        """
        if self._followed is not None:
            self._followed.following.refuse_own_thread()
        attachment, self._attachment = self._attachment, None
        self._keep()
        try:
            if attachment is not None:
                self._end(attachment)
        finally:
            if self._names is not None:
                self._names.close()
            self._release_sigterm()
            self._release_sigterm = lambda: None  # another session's is not for us
        self._check_following()

    def _end(self, attachment: Attachment) -> None:
        is_ours = os.getpid() == self._owner
        try:
            if is_ours:
                attachment.end_counting()  # first: all that follows takes time
            if self._followed is not None:
                self._followed.following.end()
            if self._delivery is not None:
                self._delivery.close()  # whoever iterates must not touch what is closed
                self._final = self._delivery.statistics(ended=True) if is_ours else Statistics()
        finally:
            attachment.close()

    def on(self, probe: Probe | ProbeSpec) -> Callable[[Callback], Callback]:
        """Decorate a function to be called with each event of a probe of this session."""
        index = index_of(self.probes, probe)

        def register(callback: Callback) -> Callback:
            check_callable("callback", callback)
            self._callbacks[index] = callback
            return callback

        return register

    def on_idle(self, action: Callable[[], object]) -> None:
        """Have ``action`` called whenever all events there are have been handed out.

        For what is best done in batches, such as flushing a file.
        """
        check_callable("action", action)
        self._idle_action = action

    def on_notice(self, action: Callable[[Notice], object]) -> None:
        """Have ``action`` called with each `Notice`: what is worth telling and no event.

        On entering it is called before anything is attached, with how many places a probe goes to
        where that is more than one; what it raises comes out of there. Once all is attached, with
        processes of other mount namespaces that run another file at a path that is probed for all:
        with nobody to be told, none is looked for. A session that follows calls it from a thread of
        its own later on, and what it raises comes out of the iteration.
        """
        check_callable("action", action)
        self._notice_action = action

    def _notify(self, notice: Notice) -> None:
        if self._notice_action is not None:
            self._notice_action(notice)

    def places(self) -> tuple[Place, ...]:
        """The files that the probes are attached in now. Raises `SessionError` without follow."""
        return self._opened_following().places()

    def waits_for(self) -> tuple[Awaited, ...]:
        """The probes that are attached nowhere, and their files. Raises as `places` does."""
        return self._opened_following().waits_for()

    def _opened_following(self) -> Following:
        if self._followed is None:
            raise SessionError(
                "the session does not follow, or has not been opened",
                hint="with Session(..., follow=True) as session:",
            )
        return self._followed.following

    def _check_following(self) -> None:
        if self._followed is not None:
            self._followed.following.check()

    def _idle(self) -> None:
        self._check_following()
        if self._names is not None:
            self._names.listen()
        if self._idle_action is not None:
            self._idle_action()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def statistics(self) -> Statistics:
        """The ledger up to now, or of the whole session once it is closed."""
        if self._final is not None:
            return self._final
        if self._attachment is None:
            return Statistics()
        return self._opened_delivery().statistics(ended=False)

    def never_hit(self, *, command: str | None = None) -> tuple[Notice, ...]:
        """Return a notice for each probe that was never hit, with the reason where it is known.

        Hits that a filter refuses on entry are not counted: it says so. ``command`` is the program
        that was to be traced, a path or a name: it may map other libraries than those probed. Also
        for a session that is closed. For places in programs it looks at the maps of all processes.
        """
        if self._delivery is None or (self._attachment is None and self._final is None):
            return ()
        from bpfprobe.never_hit import notices_of_unhit  # most probes are hit

        unhit = self._delivery.never_hit()
        wiring, opened_ns = self._delivery.wiring, self._opened_ns
        return tuple(
            notices_of_unhit(unhit, self.probes, wiring, self._options, opened_ns, command)
        )

    def event_type(self, probe: Probe | ProbeSpec) -> type[Event]:
        """The class of a probe's events; needs the session to be open, or to have been."""
        index = index_of(self.probes, probe)
        if self._delivery is None:
            raise SessionError("the session has not been opened", hint="with Session(...):")
        return self._delivery.types[index]

    @property
    def symbols(self) -> Symbolizer:
        """Names for addresses of the kernel and of processes, looked up when asked for.

        A process that has ended has them where a probe of the session takes ``ustack``: the kernel
        then tells of all programs that begin, which takes CAP_PERFMON. Also once it is closed.
        """
        return self._known_names().symbols

    def frames(self, event: Event, name: str) -> tuple[Frame, ...] | None:
        """The stack in a field, kstack or ustack, with names; the innermost frame first.

        ``str(frame)`` is ``malloc+0x1c [libc.so.6]``; ``frame.address`` and ``frame.place`` have
        the parts. None for a stack that could not be read. Names are those of `symbols`. Raises
        `SessionError` where the field is no stack.
        """
        from bpfprobe.deliver.stack import frames, stack_field

        return frames(event, stack_field(event, name), self.symbols)

    @property
    def _is_open(self) -> bool:
        return self._attachment is not None

    def _opened_delivery(self) -> Delivery:
        if self._attachment is None or self._delivery is None:
            raise SessionError("the session is not open", hint="with Session(...) as session:")
        return self._delivery
