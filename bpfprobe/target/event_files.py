"""The control files of dynamic events on this machine: what is defined, and taking it away.

Nothing here opens a control file in a way that could truncate it, which would delete every event of
every user: a removal is one line, ``-:GROUP/EVENT``, appended.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.errors import PrivilegeError, TargetError
from bpfprobe.model.noun import replace
from bpfprobe.target.defined import read_definitions, read_kprobes, with_counts
from bpfprobe.target.files import Files
from bpfprobe.target.mounts import TracingMounts

if TYPE_CHECKING:
    from bpfprobe.model.defined import DefinedEvent, RegisteredKprobe
    from bpfprobe.target.files import Reading

_OWN_FILES = ("kprobe_events", "uprobe_events")
_OTHER_KINDS = "ftes"  # only dynamic_events has these (Linux 5.0)


class EventFiles:
    """Dynamic events of the machine under ``root``; every question reads the files anew."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._files = Files(root)
        self._mounts = TracingMounts(self._files)

    def defined(self) -> tuple[DefinedEvent, ...]:
        """Every dynamic event with its counts, in the order of the files.

        Raises `TargetError` (NO_TRACEFS) and `PrivilegeError`.
        """
        events: list[DefinedEvent] = []
        for name in (*_OWN_FILES, "dynamic_events"):
            read = self._control(name)
            found = read_definitions(name, read.text or "")
            events += [e for e in found if name in _OWN_FILES or e.kind in _OTHER_KINDS]
        kernel, user = (
            self._control(f"{kind}_profile").text or "" for kind in ("kprobe", "uprobe")
        )
        counted = with_counts(events, kernel, user)
        return tuple(replace(event, enabled=self._is_enabled(event)) for event in counted)

    def registered(self) -> tuple[RegisteredKprobe, ...] | None:
        """Every kprobe of the kernel; None where debugfs does not show them."""
        for place in self._mounts.debugfs:
            text = self._files.read(f"{place}/kprobes/list").text
            if text is not None:
                return tuple(read_kprobes(text))
        return None

    def made_at(self, event: DefinedEvent) -> float | None:
        """Seconds since 1970 when the event was made, or somewhat later; None if untold.

        It is when its directory was made, which kernels since 6.6 may do only when it is looked at.
        """
        try:
            return self._files.real(f"{self._directory(event)}/id").parent.stat().st_ctime
        except OSError:
            return None

    def remove(self, event: DefinedEvent) -> None:
        """Take an event away; it is disabled first where it is busy since it was enabled.

        Raises `TargetError`: EVENT_GONE when it is no longer there as it was, EVENT_BUSY when
        something holds it, NO_REMOVE with the kernel's reason; and `PrivilegeError`.
        """
        if event.line not in (self._control(event.file).text or "").splitlines():
            raise TargetError(f"{event} is no longer there as it was", code="EVENT_GONE")
        try:
            try:
                self._append(event.file, f"-:{event}\n")
            except OSError as error:
                if error.errno != errno.EBUSY or not self._is_enabled(event):
                    raise
                self._append(f"{self._below(event)}/enable", "0\n")
                self._append(event.file, f"-:{event}\n")
        except OSError as error:
            raise self._refusal(event, error) from error

    def _append(self, name: str, text: str) -> None:
        path = self._files.real(f"{self._tracefs()}/{name}")
        # No O_TRUNC and no O_CREAT; one write, as the kernel parses each on its own.
        control = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(control, text.encode(errors="surrogateescape"))
        finally:
            os.close(control)

    def _refusal(self, event: DefinedEvent, error: OSError) -> TargetError | PrivilegeError:
        if error.errno == errno.EBUSY:
            return TargetError(
                f"{event} is in use: a process holds it open, or an instance of ftrace enabled it",
                code="EVENT_BUSY",
                hint="a child that outlived its tracer keeps the tracer's events; when it ends, "
                "run this again",
            )
        if error.errno == errno.ENOENT:
            return TargetError(f"{event} is no longer there", code="EVENT_GONE")
        if error.errno in (errno.EACCES, errno.EPERM):
            return PrivilegeError(
                f"{self._tracefs()}/{event.file} may not be written: {error.strerror}",
                hint="run as root; a kernel that is locked down refuses root as well",
            )
        return TargetError(
            f"the kernel does not remove {event}: {error.strerror}",
            code="NO_REMOVE",
            hint=f"as root: echo '-:{event}' >> {self._tracefs()}/{event.file}",
        )

    def _is_enabled(self, event: DefinedEvent) -> bool | None:
        text = self._files.read(f"{self._directory(event)}/enable").text
        return None if not text else text[0] == "1"

    def _directory(self, event: DefinedEvent) -> str:
        return f"{self._tracefs()}/{self._below(event)}"

    @staticmethod
    def _below(event: DefinedEvent) -> str:
        return f"events/{event.group}/{event.name}"

    def _control(self, name: str) -> Reading:
        """A control file; one that this kernel does not have reads as nothing."""
        path = f"{self._tracefs()}/{name}"
        read = self._files.read(path)
        if read.errno in (errno.EACCES, errno.EPERM):
            raise PrivilegeError(f"{read.problem}", hint="root reads tracefs: use sudo")
        if read.data is None and not read.missing:
            raise TargetError(f"{read.problem}", code="NO_ACCESS")
        return read

    def _tracefs(self) -> str:
        if self._mounts.tracefs is None:
            raise TargetError(
                "events are defined in tracefs, which is not mounted",
                code="NO_TRACEFS",
                hint="as root: mount -t tracefs tracefs /sys/kernel/tracing",
            )
        return self._mounts.tracefs
