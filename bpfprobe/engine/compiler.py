"""BCC as a compiler: C text in, BPF bytecode out, in a process of its own.

LLVM calls ``exit(1)`` on code that it cannot lower (a stack over 512 bytes), BCC changes the
working directory, and both print to stderr: so neither is loaded here. No privilege is needed,
nor kernel headers: BCC reads one header, which comes with the text.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.engine import compiler_child as child
from bpfprobe.engine.bpf import INSTRUCTION_SIZE
from bpfprobe.engine.compiler_elsewhere import compile_elsewhere
from bpfprobe.engine.compiler_identity import COMPILER_PLACE
from bpfprobe.engine.listing import lines_of, numbered
from bpfprobe.errors import CompileError, MissingLibraryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TIMEOUT_S = 60.0

_FLAGS = ("-O2",)
_HEADER = Path("include", "linux", "kconfig.h")  # the file that BCC includes before the text
_ERROR_LINE = re.compile(r"^(?:.*/)?[^/:]*:(\d+):\d+: (?:fatal )?error: (.*)$", re.MULTILINE)
_STACK = re.compile(r"BPF stack limit", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CompiledFunction:
    """Instructions of 8 bytes, and for each the line of C that it came from (0: none)."""

    instructions: bytes
    lines: tuple[int, ...]


def compile_c(
    text: str, header: str, names: Sequence[str], *, timeout_s: float = TIMEOUT_S
) -> tuple[CompiledFunction, ...]:
    """Each function in ``names``, in their order.

    ``header`` is all that the text can include. Raises `CompileError` (codes COMPILE,
    COMPILE_STACK, COMPILE_START, COMPILE_TIMEOUT, COMPILE_CRASH), `MissingLibraryError` (NO_LIBBCC,
    LIBBCC_MISMATCH).
    """
    parts = [
        numbered(text).encode(),
        "\0".join(_FLAGS).encode(),
        *(name.encode() for name in names),
    ]
    try:
        done = _run(child.pack(parts), header, timeout_s)
    except subprocess.TimeoutExpired as error:
        raise CompileError(
            f"the compiler took longer than {timeout_s:g} s",
            source=text,
            log=_decode(error.stderr or b""),
            code="COMPILE_TIMEOUT",
        ) from error
    except OSError as error:
        raise CompileError(
            f"the compiler could not be started: {error}",
            source=text,
            log="",
            hint="it needs a Python to run and a temporary folder to write to",
            code="COMPILE_START",
        ) from error
    log = _decode(done.stderr)
    if done.returncode != 0:
        raise _ended(done.returncode, text, log)
    codes = _bytecode(done.stdout, text, log)
    return tuple(
        CompiledFunction(code, lines_of(log, name, len(code) // INSTRUCTION_SIZE))
        for name, code in zip(names, codes, strict=True)
    )


def _run(request: bytes, header: str, timeout_s: float) -> subprocess.CompletedProcess[bytes]:
    place = os.environ.get(COMPILER_PLACE)
    if place:
        done = compile_elsewhere(place, request, header, timeout_s)
        if done is not None:
            return done
    return run_child(request, header, timeout_s)


def run_child(request: bytes, header: str, timeout_s: float) -> subprocess.CompletedProcess[bytes]:
    """Give a request to a compiler in a process of its own, and have its answer and complaints.

    Raises OSError when it cannot be started, `subprocess.TimeoutExpired`.
    """
    with _private_folder() as folder:
        path = folder / _HEADER
        path.parent.mkdir(parents=True)
        path.write_text(header)
        # -I: no user site or PYTHON* variables; -S: no site packages; -B: writes no __pycache__
        return subprocess.run(
            [sys.executable, "-I", "-S", "-B", child.__file__],
            input=request,
            capture_output=True,
            timeout=timeout_s,
            env=_environment(folder),
            cwd=folder,
            check=False,
        )


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """A new folder of mode 0700 under an unpredictable name, removed afterwards.

    A fixed name in /tmp would let others plant the header (CVE-2024-2314). The modules tempfile and
    shutil do the same, and cost as much to import as a third of what the compiler takes.
    """
    places = [os.environ.get(name, "") for name in ("XDG_RUNTIME_DIR", "TMPDIR")]
    usable = (place for place in places if os.access(place, os.W_OK | os.X_OK))
    folder = Path(next(usable, "/tmp"), f"bpfprobe-{os.urandom(8).hex()}").absolute()
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """The header and the folders that lead to it, or whatever is there."""
    header = folder / _HEADER
    try:
        header.unlink()
        for inner in header.relative_to(folder).parents:
            (folder / inner).rmdir()
    except OSError:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path) -> dict[str, str]:
    """Only what BCC needs, and where a library of another place may be."""
    environment = {
        "BCC_KERNEL_SOURCE": str(folder),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
    }
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment


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
    found = _ERROR_LINE.search(log)
    cause = f"line {found[1]}: {found[2]}" if found else _first_line(log)
    raise CompileError(f"BCC refused the generated C: {cause}", source=text, log=log)


def _ended(status: int, text: str, log: str) -> CompileError:
    """What a process that did not answer died of."""
    if _STACK.search(log):
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
