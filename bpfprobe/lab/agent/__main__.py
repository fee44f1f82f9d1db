"""The agent's loop: take a request from the port, run it, relay its streams, report its end."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from dataclasses import dataclass, field

from . import child, system
from .wire import CHUNK, Decoder, Kind, encode

PORT = "/dev/vport0p1"
INPUT_LIMIT = 1 << 20
PRELOADED = ("ctypes.util", "decimal", "logging", "pathlib", "subprocess", "tempfile")
CANNOT_START = 125


@dataclass
class Agent:
    """Serves one port for as long as the guest lives."""

    port: int
    wake: int
    decoder: Decoder = field(default_factory=Decoder)
    frames: list[tuple[Kind, bytes]] = field(default_factory=list)

    def serve(self) -> None:
        """Run requests one after the other."""
        while True:
            kind, payload = self._next_frame()
            if kind is not Kind.RUN:
                continue  # input or a signal for a command that has ended
            request = json.loads(payload)
            try:
                system.prepare(request)
                started = child.start(request)
            except OSError:
                self.send(Kind.ERROR, traceback.format_exc().encode())
                self.send(Kind.DONE, b"%d" % CANNOT_START)
            else:
                self.send(Kind.DONE, b"%d" % Relay(self, started).run())

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        """Write one frame, waiting for the host to take it."""
        data = memoryview(encode(kind, payload))
        while data:
            data = data[os.write(self.port, data) :]

    def read_port(self) -> None:
        """Collect the frames that have come in, waiting for some bytes."""
        self.frames += self.decoder.feed(os.read(self.port, CHUNK))

    def _next_frame(self) -> tuple[Kind, bytes]:
        while not self.frames:
            self.read_port()
        return self.frames.pop(0)


class Relay:
    """Carries the bytes of one command both ways until it ends."""

    def __init__(self, agent: Agent, started: child.Child) -> None:
        self._agent = agent
        self._child = started
        self._input: int | None = started.input
        self._unwritten = bytearray()
        self._closing = False
        self._selector = selectors.DefaultSelector()
        for descriptor in (started.input, *started.outputs):
            os.set_blocking(descriptor, False)

    def run(self) -> int:
        """Relay until the process ends, and return its status."""
        status = None
        with self._selector:
            for descriptor in (self._agent.wake, *self._child.outputs):
                self._selector.register(descriptor, selectors.EVENT_READ)
            while status is None:
                self._obey()
                self._watch_input()
                for key, _ in self._selector.select():
                    if key.fd == self._agent.wake:
                        os.read(self._agent.wake, CHUNK)
                        status = reap(self._child.pid)
                    elif key.fd == self._agent.port:
                        self._agent.read_port()
                    elif key.fd == self._input:
                        self._write_input()
                    elif not self._forward(key.fd):
                        self._selector.unregister(key.fd)
        # What the process wrote is in the pipes by now; others may hold them open for ever.
        for descriptor in self._child.outputs:
            while self._forward(descriptor):
                pass
            os.close(descriptor)
        self._close_input()
        return status

    def _obey(self) -> None:
        """Carry out the frames that came in."""
        frames, self._agent.frames = self._agent.frames, []
        for kind, payload in frames:
            if kind is Kind.INPUT:
                self._unwritten += payload
                self._closing = self._closing or not payload
            elif kind is Kind.SIGNAL:
                os.killpg(self._child.pid, int(payload))
            elif kind is Kind.SIZE and self._child.terminal:
                child.resize(self._child.input, *map(int, payload.split()))

    def _watch_input(self) -> None:
        """Watch the input while there is something to write, the port while there is room."""
        if self._closing and not self._unwritten:
            self._close_input()
        watched = self._selector.get_map()
        wanted = {
            self._agent.port: (selectors.EVENT_READ, len(self._unwritten) < INPUT_LIMIT),
            self._input: (selectors.EVENT_WRITE, bool(self._unwritten)),
        }
        for descriptor, (event, needed) in wanted.items():
            if descriptor is None or needed == (descriptor in watched):
                continue
            if needed:
                self._selector.register(descriptor, event)
            else:
                self._selector.unregister(descriptor)

    def _write_input(self) -> None:
        assert self._input is not None
        try:
            del self._unwritten[: os.write(self._input, self._unwritten)]
        except BrokenPipeError:
            self._unwritten.clear()
            self._closing = True

    def _close_input(self) -> None:
        if self._input is not None:
            if self._input in (self._selector.get_map() or ()):
                self._selector.unregister(self._input)
            os.close(self._input)
            self._input = None
            self._unwritten.clear()

    def _forward(self, descriptor: int) -> bool:
        """Send what a pipe holds to the host; False when there is no more."""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            return False  # a terminal says EIO when its last user has gone
        if data:
            self._agent.send(self._child.outputs[descriptor], data)
        return bool(data)


def reap(pid: int) -> int | None:
    """Collect every process that has ended; the status of ``pid`` when it is among them."""
    status = None
    while True:
        try:
            ended, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if ended == 0:
            return status
        if ended == pid:
            status = os.waitstatus_to_exitcode(code)


def preload() -> None:
    """Import now, for all copies of this guest, what emulation makes slow to import."""
    for name in PRELOADED:
        importlib.import_module(name)
    if importlib.util.find_spec("pytest") is not None:
        from . import testing

        testing.warm_up()
    gc.freeze()


def main() -> None:
    """Set up the first process of the guest, and serve."""
    socket.sethostname("bpfprobe-lab")
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    preload()
    port = os.open(PORT, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    agent = Agent(port, wake_read)
    agent.send(
        Kind.READY, json.dumps({"release": os.uname().release, "python": sys.version}).encode()
    )
    agent.serve()


if __name__ == "__main__":
    main()
