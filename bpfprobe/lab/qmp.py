"""Talking to QEMU's monitor."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from bpfprobe.errors import LabError

if TYPE_CHECKING:
    import socket

POLL_S = 0.005


class Monitor:
    """A connection to one QEMU's monitor."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        connection.settimeout(timeout_s)
        self._connection = connection
        self._stream = connection.makefile("rwb")
        self._receive()  # the greeting
        self.execute("qmp_capabilities")

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(BrokenPipeError):  # of what QEMU, gone by now, was not told
            self._stream.close()
        self._connection.close()

    def execute(self, command: str, **arguments: Any) -> Any:
        """Run one command, and return what it returns."""
        request = {"execute": command, "arguments": arguments}
        self._stream.write(json.dumps(request).encode() + b"\n")
        self._stream.flush()
        while True:
            answer = self._receive()
            if "error" in answer:
                raise LabError(f"QEMU refused {command}: {answer['error'].get('desc', answer)}")
            if "return" in answer:
                return answer["return"]

    def wait(self, command: str, done: frozenset[str], timeout_s: float) -> None:
        """Ask for a status until it is one of ``done``."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self.execute(command)
            if answer.get("status") in done:
                return
            if answer.get("status") == "failed":
                raise LabError(f"QEMU could not do it: {answer.get('error-desc', answer)}")
            if time.monotonic() > deadline:
                raise LabError(f"QEMU did not finish within {timeout_s:.0f} s: {answer}")
            time.sleep(POLL_S)

    def _receive(self) -> dict[str, Any]:
        line = self._stream.readline()
        if not line:
            raise ConnectionResetError("QEMU closed its monitor")
        answer: dict[str, Any] = json.loads(line)
        return answer
