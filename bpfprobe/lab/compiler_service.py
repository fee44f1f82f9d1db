"""Compiles for a guest: what takes the host a fifth of a second takes an emulated processor ten."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bpfprobe.engine import compiler_child as child
from bpfprobe.engine.compiler import TIMEOUT_S, run_child
from bpfprobe.engine.compiler_elsewhere import LENGTH, MAX_MESSAGE_BYTES
from bpfprobe.engine.compiler_process import SlowCompilerError

if TYPE_CHECKING:
    import socket

_FAILED = b"1"


def serve_compiler(port: socket.socket) -> threading.Thread:
    """Answer requests from a thread of its own until the guest has gone."""
    thread = threading.Thread(target=_serve, args=(port,), name="compiler", daemon=True)
    thread.start()
    return thread


def _serve(port: socket.socket) -> None:
    try:
        while (head := _exactly(port, LENGTH.size)) is not None:
            (size,) = LENGTH.unpack(head)
            message = _exactly(port, size) if size <= MAX_MESSAGE_BYTES else None
            if message is None:
                return
            answer = _answer(message)
            port.sendall(LENGTH.pack(len(answer)) + answer)
    except (OSError, ValueError):
        return  # the guest has ended, or what it sends is no request


def _answer(message: bytes) -> bytes:
    number, request = child.unpack(message)
    try:
        done = run_child(request, TIMEOUT_S)
    except (OSError, SlowCompilerError) as error:
        return child.pack([number, _FAILED, b"", str(error).encode()])
    return child.pack([number, b"%d" % done.status, done.answer, done.complaints])


def _exactly(port: socket.socket, size: int) -> bytes | None:
    """So many bytes, or None when there are no more."""
    data = bytearray()
    while len(data) < size:
        part = port.recv(size - len(data))
        if not part:
            return None
        data += part
    return bytes(data)
