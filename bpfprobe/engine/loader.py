"""Maps and programs into the kernel; `load_errors` explains its refusals."""

from __future__ import annotations

import errno
import os
import struct

from bpfprobe.engine import bpf
from bpfprobe.engine.allowed_calls import check_calls
from bpfprobe.errors import LoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.engine.syscalls import Kernel
    from bpfprobe.errors import BpfprobeError
    from bpfprobe.model.object import Bytecode, MapDef

_LD_IMM64, _PSEUDO_MAP_FD, _PSEUDO_MAP_VALUE = 0x18, 1, 2
_INSTRUCTION = struct.Struct("<BBhi")

_LOG_SIZES = (1 << 16, 1 << 20, (1 << 24) - 1)  # the last is the most that kernels before 5.2 take
_TRIES = 5


def relocate(instructions: bytes, map_fds: Sequence[int]) -> bytes:
    """``instructions`` with each map number replaced by its descriptor.

    A map number is the immediate of a ``ld_imm64`` whose source register is BPF_PSEUDO_MAP_FD, or
    BPF_PSEUDO_MAP_VALUE, which gives the address of the map's one value (Linux 5.2).
    Raises `LoadError` (code BYTECODE) for bytes that are no instructions, or a map that is not
    there.
    """
    if len(instructions) % bpf.INSTRUCTION_SIZE or not instructions:
        raise LoadError(f"{len(instructions)} bytes are no BPF instructions", code="BYTECODE")
    text = bytearray(instructions)
    at = 0
    while at < len(text):
        opcode, registers, offset, number = _INSTRUCTION.unpack_from(text, at)
        if opcode == _LD_IMM64:
            if registers >> 4 in (_PSEUDO_MAP_FD, _PSEUDO_MAP_VALUE):
                if not 0 <= number < len(map_fds):
                    raise LoadError(
                        f"the program names map {number} of {len(map_fds)}", code="BYTECODE"
                    )
                _INSTRUCTION.pack_into(text, at, opcode, registers, offset, map_fds[number])
            at += bpf.INSTRUCTION_SIZE  # the second half holds no opcode
        at += bpf.INSTRUCTION_SIZE
    return bytes(text)


def create_map(kernel: Kernel, definition: MapDef) -> int:
    """Create a map.

    Raises `LoadError` (MAP, MAP_SIZE, MAP_VALUE, MEMLOCK, NO_MAP_KIND), `PrivilegeError`.
    """
    try:
        fd = bpf.create_map(kernel, definition)
    except OSError as error:
        if error.errno != errno.EPERM or not _raised_memlock():
            raise _map_refusal(definition, error) from error
        try:
            fd = bpf.create_map(kernel, definition)
        except OSError as again:
            raise _map_refusal(definition, again) from again
    if definition.initial:
        _fill(kernel, definition, fd)
    return fd


def _map_refusal(definition: MapDef, error: OSError) -> BpfprobeError:
    from bpfprobe.engine.load_errors import map_refused  # few starts need words for it

    return map_refused(definition, error)


def _raised_memlock() -> bool:
    from bpfprobe.engine.privilege import kernel_release, raise_memlock  # as above

    return raise_memlock(kernel_release())


def _fill(kernel: Kernel, definition: MapDef, fd: int) -> None:
    """Put the first value into a map of one entry; the map is closed if it does not take it."""
    problem, code = "", 0
    if len(definition.initial) != definition.value_size:
        problem = f"{len(definition.initial)} bytes for a value of {definition.value_size}"
    else:
        try:
            bpf.update(kernel, fd, bytes(definition.key_size), definition.initial)
        except OSError as error:
            problem, code = str(error.strerror), error.errno or 0
    if problem:
        os.close(fd)
        raise LoadError(
            f"map {definition.name} did not take its first value: {problem}",
            errno=code,
            code="MAP_VALUE",
        )


def load(kernel: Kernel, bytecode: Bytecode, map_fds: Sequence[int]) -> int:
    """Check, relocate and load. Raises `VerifierError`, `LoadError`, `PrivilegeError`.

    The verifier writes its log only on a second try, after a refusal: writing it takes longer
    than verifying.
    """
    program = bytecode.program
    check_calls(program.name, bytecode.instructions)
    instructions = relocate(bytecode.instructions, map_fds)
    fd, refusal = _load_quietly(kernel, bytecode, instructions)
    if refusal is None:
        return fd
    if refusal.errno == errno.EPERM and _raised_memlock():
        fd, again = _load_quietly(kernel, bytecode, instructions)
        if again is None:
            return fd
        refusal = again
    log = ""
    for size in _LOG_SIZES:
        fd, again, log = bpf.load_program(kernel, program, instructions, size)
        if again is None:
            return fd  # what stood in the way the first time has gone
        refusal = again if again.errno != errno.ENOSPC else refusal
        if again.errno != errno.ENOSPC:
            break
    from bpfprobe.engine.load_errors import program_refused  # few starts need words for it

    raise program_refused(bytecode, refusal, log) from refusal


def _load_quietly(
    kernel: Kernel, bytecode: Bytecode, instructions: bytes
) -> tuple[int, OSError | None]:
    fd, refusal, _ = bpf.load_program(kernel, bytecode.program, instructions)
    for _ in range(_TRIES):
        # The verifier gives way to a pending signal (Linux 5.0, commit c3494801cd17).
        if refusal is None or refusal.errno != errno.EAGAIN:
            break
        fd, refusal, _ = bpf.load_program(kernel, bytecode.program, instructions)
    return fd, refusal
