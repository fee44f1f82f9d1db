"""BCC as a compiler: C text in, BPF bytecode out, in a process of its own.

LLVM calls ``exit(1)`` on code that it cannot lower (a stack over 512 bytes), BCC changes the
working directory, and both print to stderr: so neither is loaded here. No privilege is needed,
nor kernel headers, and nothing is written anywhere: all goes through a pipe.
"""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

from bpfprobe.engine import compiler_child as child
from bpfprobe.engine.bpf import INSTRUCTION_SIZE
from bpfprobe.engine.compiler_elsewhere import compile_elsewhere
from bpfprobe.engine.compiler_identity import COMPILER_PLACE, compiles_elsewhere
from bpfprobe.engine.compiler_process import CompilerProcess, Done, SlowCompilerError
from bpfprobe.engine.listing import lines_of, numbered
from bpfprobe.errors import CompileError, MissingLibraryError
from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 60.0

_FLAGS = ("-O2",)
_ERROR_LINE = r"^(?:.*/)?[^/:]*:(\d+):\d+: (?:fatal )?error: (.*)$"
_STACK = "bpf stack limit"


@dataclass(frozen=True, slots=True)
class CompiledFunction:
    """Instructions of 8 bytes, and for each the line of C that it came from (0: none)."""

    instructions: bytes
    lines: tuple[int, ...]


def compile_c(
    text: str,
    header: str,
    names: Sequence[str],
    *,
    timeout_s: float = TIMEOUT_S,
    waiting: CompilerProcess | None = None,
) -> tuple[CompiledFunction, ...]:
    """Each function in ``names``, in their order.

    ``header`` goes before it. ``waiting`` is a compiler that was started before,
    which has ended when this returns. Raises `CompileError` (codes COMPILE,
    COMPILE_STACK, COMPILE_START, COMPILE_TIMEOUT, COMPILE_CRASH), `MissingLibraryError` (NO_LIBBCC,
    LIBBCC_MISMATCH).
    """
    parts = [
        f"{header}\n{numbered(text)}".encode(),
        "\0".join(_FLAGS).encode(),
        *(name.encode() for name in names),
    ]
    try:
        done = _run(child.pack(parts), timeout_s, waiting)
    except SlowCompilerError as error:
        raise CompileError(
            f"the compiler took longer than {timeout_s:g} s",
            source=text,
            log=_decode(error.complaints),
            code="COMPILE_TIMEOUT",
        ) from error
    except OSError as error:
        raise CompileError(
            f"the compiler could not be started: {error}",
            source=text,
            log="",
            hint="it needs a Python to run",
            code="COMPILE_START",
        ) from error
    log = _decode(done.complaints)
    if done.status != 0:
        raise _ended(done.status, text, log)
    codes = _bytecode(done.answer, text, log)
    return tuple(
        CompiledFunction(code, lines_of(log, name, len(code) // INSTRUCTION_SIZE))
        for name, code in zip(names, codes, strict=True)
    )


def _run(request: bytes, timeout_s: float, waiting: CompilerProcess | None) -> Done:
    if compiles_elsewhere():
        done = compile_elsewhere(os.environ[COMPILER_PLACE], request, timeout_s)
        if done is not None:
            return done
    return run_child(request, timeout_s, waiting)


def run_child(request: bytes, timeout_s: float, waiting: CompilerProcess | None = None) -> Done:
    """Give a request to a compiler in a process of its own, and have its answer and complaints.

    Raises OSError when it cannot be started, `SlowCompilerError`.
    """
    with waiting or CompilerProcess() as process:
        return process.compile(request, timeout_s)


def _bytecode(message: bytes, text: str, log: str) -> tuple[bytes, ...]:
    try:
        verdict, *details = child.unpack(message)
    except ValueError as error:
        raise CompileError(
            f"the compiler's answer was cut: {error}", source=text, log=log, code="COMPILE_CRASH"
        ) from error
    if verdict == child.OK:
        return tuple(details)
    if verdict == child.NO_LIBRARY:
        raise MissingLibraryError(
            f"{child.LIBRARY} could not be loaded: {_decode(details[0])}",
            hint="apt install libbpfcc (Debian, Ubuntu); dnf install bcc (Fedora)",
            code="NO_LIBBCC",
        )
    if verdict == child.WRONG_LIBRARY:
        raise MissingLibraryError(
            f"{child.LIBRARY} has no function {_decode(details[0])}: not BCC, or one that differs",
            hint="keep one BCC, that of the distribution; see ldconfig -p | grep libbcc",
            code="LIBBCC_MISMATCH",
        )
    if verdict == child.NO_FUNCTION:
        message_text = f"the C text has no function {_decode(details[0])}"
        raise CompileError(message_text, source=text, log=log)
    found = re.search(_ERROR_LINE, log, re.MULTILINE)
    cause = f"line {found[1]}: {found[2]}" if found else _first_line(log)
    raise CompileError(f"BCC refused the generated C: {cause}", source=text, log=log)


def _ended(status: int, text: str, log: str) -> CompileError:
    """What a process that did not answer died of."""
    if _STACK in log.lower():
        return CompileError(
            "a function of the generated C needs more than the 512 bytes of stack that BPF has",
            source=text,
            log=log,
            hint="capture fewer or shorter values in one probe",
            code="COMPILE_STACK",
        )
    how = f"exited with status {status}"
    if status < 0:
        how = f"was ended by signal {-status} ({signal.strsignal(-status)})"
    return CompileError(
        f"the compiler {how}: {_first_line(log)}", source=text, log=log, code="COMPILE_CRASH"
    )


def _first_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[0] if lines else "it said nothing"


def _decode(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
