"""A thread that sleeps until processes map files, and attaches probes to those that are meant."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from bpfprobe.errors import BpfprobeError, SessionError
from bpfprobe.model.mapping import Executed, Exited, Forked, Mapped, RecordsLost
from bpfprobe.model.notice import Notice
from bpfprobe.model.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bpfprobe.engine import Link, ProcessWatch
    from bpfprobe.follow.probe import FollowedProbe
    from bpfprobe.follow.variants import Variants
    from bpfprobe.model.mapping import ProcessRecord
    from bpfprobe.model.place import Awaited
    from bpfprobe.target import Target
    from bpfprobe.target.process_files import Opened, ProcessFiles


class Following:
    """Follows from `begin` to `end`; ``notify`` is called from its thread.

    What goes wrong with one file is told and remembered with it. Anything else ends the following,
    and is raised by `check`.
    """

    def __init__(
        self,
        probes: Iterable[FollowedProbe],
        variants: Variants,
        watch: ProcessWatch,
        files: ProcessFiles,
        notify: Callable[[Notice], object],
    ) -> None:
        self._probes = tuple(probes)
        self._variants, self._watch, self._files = variants, watch, files
        self._notify = notify
        families = [probe.family for probe in self._probes]
        self._families = {id(family): family for family in families if family is not None}
        self._exited: dict[int, set[int]] = {}
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._leaving: dict[int, list[Link]] = {}
        self._ending: threading.Thread | None = None
        self._ending_of: frozenset[int] = frozenset()

    def begin(self) -> None:
        """Go to what is mapped already, and then follow."""
        self._look_at_all()
        for probe in self._probes:
            if (awaited := probe.awaited()) is not None:
                self._notify(Notice("WAITS", str(awaited)))
        self._thread = self._begun(self._run)
        if self._thread is None:
            raise SessionError(
                "to follow takes a thread of its own, and none could be started",
                hint="ulimit -u, or pids.max of the cgroup",
                code="FOLLOW_THREAD",
            )

    def end(self) -> None:
        """Attach nothing more. Doing it twice does nothing."""
        self._watch.end()
        try:
            _await(self._thread)
        finally:
            _await(self._ending)  # which the other may have begun last of all
            self._guarded(self._links_left())
            self._watch.close()

    def refuse_own_thread(self) -> None:
        """`end` waits for the thread, which cannot do it itself. Raises `SessionError`."""
        if threading.current_thread() is self._thread:
            raise SessionError(
                "on_notice was called by the thread that follows, which is no place to close the "
                "session",
                hint="session.stop() there, and close it where it was opened",
                code="OWN_THREAD",
            )

    def check(self) -> None:
        """Raise what ended the following before its time, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def places(self) -> tuple[Place, ...]:
        """Where the probes are."""
        return tuple(place for probe in self._probes for place in probe.places())

    def waits_for(self) -> tuple[Awaited, ...]:
        """What probes wait for that are nowhere."""
        return tuple(one for probe in self._probes if (one := probe.awaited()) is not None)

    def _run(self) -> None:
        while records := self._watch.wait():
            self._take(records)
            self._end_links()

    def _take(self, records: list[ProcessRecord]) -> None:
        lost = 0
        for probe in self._probes:
            probe.look_where_it_leads(self._files.leads)
        for record in records:
            match record:
                case Mapped():
                    self._see(record)
                case Forked(pid, parent):
                    self._fork(pid, parent)
                case Executed(pid):
                    self._execute(pid)
                case Exited(pid, tid):
                    self._exit(pid, tid)
                case RecordsLost(count):
                    lost += count
        if any(isinstance(record, RecordsLost) for record in records):
            what = f"{lost} records of processes were lost" if lost else "a CPU has come online"
            self._notify(Notice("LOST", f"{what}: all processes are looked at once more"))
            self._look_at_all()

    def _look_at_all(self) -> None:
        """What all processes have mapped, where somebody may want it."""
        parents = self._files.parents()
        for probe in self._probes:
            for pid in probe.pids() - parents.keys():
                self._leave(probe, pid)
        for family in self._families.values():
            family.learn(parents)
        self._exited.clear()
        if all(probe.family is not None for probe in self._probes):
            pids = {pid for family in self._families.values() for pid in family.members()}
        else:
            pids = set(parents)
        for pid in sorted(pids):
            self._look(pid)

    def _look(self, pid: int) -> None:
        for mapped in self._files.mapped(pid):
            self._see(mapped)

    def _fork(self, pid: int, parent: int) -> None:
        """Somebody's child has what its parent has mapped, and nothing tells of that."""
        self._exited.pop(pid, None)
        joined = {one for family in self._families.values() for one in family.forked(pid, parent)}
        for one in sorted(joined):
            self._look(one)

    def _execute(self, pid: int) -> None:
        """A thread has become the whole process, and its first one has ended if it was another."""
        for family in self._families.values():
            family.goes_on(pid)
        if pid in self._exited.pop(pid, ()):
            self._renew(pid)

    def _exit(self, pid: int, tid: int) -> None:
        """A process has ended with the last of its threads, which need not be its first."""
        in_families = any(pid in family for family in self._families.values())
        if in_families:
            living = self._files.threads(pid)
            exited = living & {tid, *self._exited.pop(pid, ())}
            if living - exited:
                self._exited[pid] = exited
                return
        elif pid != tid:
            return
        for family in self._families.values():
            family.ended(pid)
        if in_families:
            self._renew(pid)

    def _renew(self, pid: int) -> None:
        """The kernel has bound what was attached to the first thread of a process, which is gone.

        Where another thread has taken its place by an exec, the process goes on.
        """
        for probe in self._probes:
            self._leave(probe, pid)
        self._look(pid)

    def _leave(self, probe: FollowedProbe, pid: int) -> None:
        if links := probe.leave(pid):
            self._variants.give_up(probe.index, links)
            self._leaving.setdefault(pid, []).extend(links)

    def _end_links(self) -> None:
        """End what nobody needs, beside the rest: the kernel takes its time for it."""
        if not self._leaving or (self._ending is not None and self._ending.is_alive()):
            return
        self._ending_of = frozenset(self._leaving)
        work = self._links_left()
        self._ending = self._begun(work)
        if self._ending is None:
            self._guarded(work)

    def _links_left(self) -> Callable[[], None]:
        """What ends them."""
        leaving, self._leaving = self._leaving, {}
        return partial(self._variants.end, [one for links in leaving.values() for one in links])

    def _end_links_of(self, pid: int) -> None:
        """Before a process is gone to again: or each call would be seen by both links."""
        if links := self._leaving.pop(pid, None):
            self._variants.end(links)
        if self._ending is not None and pid in self._ending_of:
            self._ending.join()

    def _begun(self, work: Callable[[], None]) -> threading.Thread | None:
        """A thread that does it, if one can be had."""
        thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return None
        return thread

    def _guarded(self, work: Callable[[], None]) -> None:
        """What is raised in a thread of ours is for the caller's to see."""
        try:
            work()
        except BaseException as error:
            self._failure = self._failure or error

    def _see(self, mapped: Mapped) -> None:
        news = [p for p in self._probes if p.is_news(mapped, self._files.leads_to)]
        if news:
            self._open(news, mapped)

    def _open(self, probes: list[FollowedProbe], mapped: Mapped) -> None:
        try:
            opened = self._files.open(mapped)
        except BpfprobeError as error:
            for probe in probes:
                # Of a process that has ended alone, nobody is left who could use it.
                if probe.family is None or error.code != "FILE_GONE":
                    self._refuse(probe, mapped, error, mapped.mapping.path)
            return
        try:
            target = self._variants.target(opened)  # one for all: it reads the file once
            for probe in probes:
                probe.is_the_same(mapped.mapping.file, opened.key)
                is_known = probe.has(opened.key, probe.scope(mapped.pid))
                if not is_known and (opened.key, opened.changed_ns) not in probe.refused:
                    self._attach(probe, mapped, opened, target)
        finally:
            opened.close()

    def _attach(self, probe: FollowedProbe, mapped: Mapped, opened: Opened, target: Target) -> None:
        pid = probe.scope(mapped.pid)
        try:
            variant = self._variants.of(probe.index, opened, target)
            if not probe.has_room(variant.places):
                if not probe.is_full:
                    probe.is_full = True
                    self._refuse(probe, mapped, _full(), opened.path)
                return
            if pid is not None:
                self._end_links_of(pid)
            links = self._variants.attach(variant, opened, pid)
        except BpfprobeError as error:
            if self._has_ended(mapped.pid, pid):
                return
            if error.code != "NO_PROCESS":  # which is no fault of the file
                probe.refused.add((opened.key, opened.changed_ns))
            self._refuse(probe, mapped, error, opened.path)
            return
        key = opened.key
        place = Place(probe.name, mapped.mapping.path, pid, key.device, key.inode, variant.places)
        probe.add(place, links)
        self._notify(Notice("FOLLOWED", f"{probe.name} goes to {place}"))

    def _has_ended(self, pid: int, scope: int | None) -> bool:
        """Whether the process is gone in which alone a place was to be probed."""
        return scope is not None and not self._files.threads(pid)

    def _refuse(
        self, probe: FollowedProbe, mapped: Mapped, error: BpfprobeError, shown: str
    ) -> None:
        text = f"{error.message} [{error.code}]".replace(shown, mapped.mapping.path)
        where = f"{mapped.mapping.path} of process {mapped.pid}"
        self._notify(Notice("REFUSED", f"{probe.name} does not go to {where}: {text}"))


def _await(thread: threading.Thread | None) -> None:
    """Where Ctrl-C comes meanwhile too: what the thread attaches is not to outlive the rest."""
    if thread is None:
        return
    try:
        thread.join()
    finally:
        thread.join()


def _full() -> SessionError:
    return SessionError(
        "it would be at more places than max_places (--max-places) allows", code="FOLLOW_LIMIT"
    )
