"""One command's exchange with the agent: bytes both ways, neither side able to block the other."""

from __future__ import annotations

import math
import os
import selectors
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bpfprobe.lab.agent.wire import CHUNK, Decoder, Kind, encode

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

OUTGOING_LIMIT = 1 << 20
TICK_S = 0.1  # how long a frame that a signal handler queued may wait


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a command's bytes go, and where its input comes from.

    The sinks are called with bytes as they come. Input is ``stdin``, followed by what the
    descriptor ``follow`` gives while the command runs.
    """

    stdout: Callable[[bytes], object]
    stderr: Callable[[bytes], object]
    reports: Callable[[bytes], object] | None = None
    stdin: bytes = b""
    follow: int | None = None


class PortClosed(Exception):
    """The guest is gone."""


class OutOfTime(Exception):
    """The deadline passed."""


@dataclass(slots=True)
class Conversation:
    """Frames to and from the agent while a command runs."""

    port: socket.socket
    streams: Streams
    _decoder: Decoder = field(default_factory=Decoder)
    _outgoing: bytearray = field(default_factory=bytearray)
    _follow: int | None = None
    _pollable: bool = True
    _deadline: float | None = None
    interrupted: bool = False

    def interrupt(self, grace_s: float) -> bool:
        """Send the command a SIGINT and give it a time to end; False when that was done before."""
        if self.interrupted:
            return False
        self.interrupted = True
        self._deadline = min(time.monotonic() + grace_s, self._deadline or math.inf)
        self.send(Kind.SIGNAL, str(int(signal.SIGINT)).encode())
        return True

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        """Queue a frame; it leaves while :meth:`until_done` runs."""
        self._outgoing += encode(kind, payload)

    def until_done(self, deadline: float | None) -> int:
        """Exchange frames until the command has ended; its status."""
        self._deadline = deadline
        self.port.setblocking(False)
        self._follow = self.streams.follow
        for start in range(0, len(self.streams.stdin), CHUNK):
            self.send(Kind.INPUT, self.streams.stdin[start : start + CHUNK])
        if self._follow is None:
            self.send(Kind.INPUT)
        status = None
        with selectors.DefaultSelector() as selector:
            selector.register(self.port, selectors.EVENT_READ)
            while status is None:
                self._watch(selector)
                for key, events in selector.select(TICK_S):
                    if key.fileobj is not self.port:
                        self._take_input()
                        continue
                    if events & selectors.EVENT_WRITE:
                        self._flush()
                    if events & selectors.EVENT_READ:
                        status = self._receive()
                if status is None and time.monotonic() > (self._deadline or math.inf):
                    raise OutOfTime
        return status

    def _watch(self, selector: selectors.BaseSelector) -> None:
        """Watch what there is something to do for."""
        writing = selectors.EVENT_WRITE if self._outgoing else 0
        selector.modify(self.port, selectors.EVENT_READ | writing)
        has_room = len(self._outgoing) < OUTGOING_LIMIT
        watched = (
            self.streams.follow in selector.get_map() if self.streams.follow is not None else False
        )
        if self._follow is not None and has_room and not self._pollable:
            self._take_input()
        elif self._follow is not None and has_room and not watched:
            try:
                selector.register(self._follow, selectors.EVENT_READ)
            except PermissionError:  # a plain file, which is always ready
                self._pollable = False
                self._take_input()
        elif watched and (self._follow is None or not has_room):
            assert self.streams.follow is not None
            selector.unregister(self.streams.follow)

    def _take_input(self) -> None:
        if self._follow is not None:
            data = os.read(self._follow, CHUNK)
            self.send(Kind.INPUT, data)
            if not data:
                self._follow = None

    def _flush(self) -> None:
        try:
            del self._outgoing[: self.port.send(self._outgoing)]
        except OSError as error:
            raise PortClosed from error

    def _receive(self) -> int | None:
        try:
            data = self.port.recv(CHUNK)
        except OSError as error:
            raise PortClosed from error
        if not data:
            raise PortClosed
        status = None
        for kind, payload in self._decoder.feed(data):
            if kind is Kind.OUTPUT:
                self.streams.stdout(payload)
            elif kind is Kind.ERROR:
                self.streams.stderr(payload)
            elif kind is Kind.REPORT and self.streams.reports is not None:
                self.streams.reports(payload)
            elif kind is Kind.DONE:
                status = int(payload)
        return status
