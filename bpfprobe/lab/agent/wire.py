"""What passes between the host and the agent: frames over one serial port.

A frame is one byte of kind, four of length, and the payload.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass, field

HEADER = struct.Struct(">cI")
CHUNK = 1 << 16


class Kind(enum.Enum):
    """What a frame's payload is."""

    READY = b"A"  # guest: JSON, the guest can be saved
    RUN = b"R"  # host: JSON, one request
    INPUT = b"I"  # host: bytes for the command's standard input; none at its end
    SIGNAL = b"S"  # host: a signal number, as text, for the command's process group
    SIZE = b"W"  # host: "rows columns" of the terminal
    OUTPUT = b"O"  # guest: bytes from the standard output
    ERROR = b"E"  # guest: bytes from the standard error
    REPORT = b"P"  # guest: bytes from the report pipe of a test
    DONE = b"D"  # guest: the exit status, as text; negative for a signal


def encode(kind: Kind, payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    return HEADER.pack(kind.value, len(payload)) + payload


@dataclass(slots=True)
class Decoder:
    """Collects bytes and gives back whole frames."""

    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[tuple[Kind, bytes]]:
        """The frames that ``data`` completes."""
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            kind, length = HEADER.unpack_from(self._buffer, start)
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append((Kind(kind), bytes(self._buffer[start + HEADER.size : end])))
            start = end
        del self._buffer[:start]
        return frames
