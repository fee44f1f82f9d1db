"""Has C compiled where a compiler is at hand: by the host, for a guest whose processor is emulated.

The environment variable BPFPROBE_COMPILER names a character device that leads there. A message is
its length (u32, little endian) and a list of byte strings as `compiler_child` packs them:

- request: a number that tells requests apart, the compiler's request
- answer: the same number, the compiler's exit status, its answer, what it complained of
"""

from __future__ import annotations

import errno
import os
import select
import struct
import time

from bpfprobe.engine import compiler_child as child
from bpfprobe.engine.compiler_identity import is_trusted_device
from bpfprobe.engine.compiler_process import Done

LENGTH = struct.Struct("<I")
MAX_MESSAGE_BYTES = 64 << 20
_BUSY_S = 0.02


def compile_elsewhere(place: str, request: bytes, timeout_s: float) -> Done | None:
    """The compiler's answer and complaints; None where nobody answers or it has no BCC."""
    deadline = time.monotonic() + timeout_s
    number = os.urandom(8)
    try:
        device = _open(place, deadline)
        try:
            message = child.pack([number, request])
            write_all(device, LENGTH.pack(len(message)) + message)
            while True:
                parts = child.unpack(_message(device, deadline))
                if parts[0] == number:  # another's answer is left over when that one was killed
                    break
        finally:
            os.close(device)
        _, status, answer, complaints = parts
    except (OSError, ValueError):
        return None
    if child.unpack(answer)[:1] in ([child.NO_LIBRARY], [child.WRONG_LIBRARY]):
        return None
    return Done(int(status), answer, complaints)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, however long it takes. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _open(place: str, deadline: float) -> int:
    """Open a device that one process at a time may have open."""
    while True:
        try:
            device = os.open(place, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_S)
        else:
            break
    if not is_trusted_device(os.fstat(device)):
        os.close(device)
        raise ValueError("another device by now")
    return device


def _message(device: int, deadline: float) -> bytes:
    (size,) = LENGTH.unpack(_exactly(device, LENGTH.size, deadline))
    if size > MAX_MESSAGE_BYTES:
        raise ValueError("a message of a size that nothing has")
    return _exactly(device, size, deadline)


def _exactly(device: int, size: int, deadline: float) -> bytes:
    data = bytearray()
    poll = select.poll()
    poll.register(device, select.POLLIN)
    while len(data) < size:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError("nobody answers")
        part = os.read(device, size - len(data))
        if not part:
            raise ValueError("the other side has gone")
        data += part
    return bytes(data)
