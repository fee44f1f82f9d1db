"""A process that does a known number of known things, and nothing else until it is told to."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

HITS = 7
"""How often each function is called."""
READ_BYTES = 4099
_TEXT = b"read no. %d\0of some text"


class Child:
    """The process, stopped before the first of what it does."""

    def __init__(self, pid: int, gate: int) -> None:
        self.pid = pid
        self._gate = gate

    def run(self) -> None:
        """Let it do everything, and wait for its end."""
        os.write(self._gate, b"!")
        assert os.waitpid(self.pid, 0)[1] == 0


@contextmanager
def child() -> Iterator[Child]:
    """The process; what it needs is made and opened before it begins."""
    waiting, gate = os.pipe()
    with (
        tempfile.NamedTemporaryFile(prefix="a file that is read ") as file,
        open(file.name, "rb", buffering=0) as reader,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        open(waiting, "rb", buffering=0),
        open(gate, "wb", buffering=0),
    ):
        sender.connect(("127.0.0.1", 9))
        pid = os.fork()
        if pid == 0:
            try:
                os.read(waiting, 1)
                _work(Path(file.name), reader, bytearray(READ_BYTES), sender)
                os._exit(0)
            finally:
                os._exit(1)
        yield Child(pid, gate)


def _work(path: Path, reader: io.FileIO, buffer: bytearray, sender: socket.socket) -> None:
    for number in range(HITS):
        text = (_TEXT % number).ljust(READ_BYTES - 10 * number, b"\xfe")
        with open(path, "r+b", buffering=0) as file:
            file.write(text)
        buffer[:32] = b"what was there before %d" % number + bytes(9)
        buffer[32:] = bytes(len(buffer) - 32)
        reader.seek(0)
        reader.readinto(buffer)
        os.access(path, number & 7)
        sender.send(bytes(100 + number), socket.MSG_MORE)
