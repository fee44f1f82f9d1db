"""Maps and programs into the kernel, and its refusals explained."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING

from bpfprobe.engine import bpf
from bpfprobe.engine.cpus import possible_cpus
from bpfprobe.engine.privilege import (
    charges_memlock,
    explain_refusal,
    kernel_release,
    memlock_kb,
    raise_memlock,
    read_privileges,
)
from bpfprobe.engine.verifier_log import complaint
from bpfprobe.errors import BpfprobeError, LoadError, VerifierError
from bpfprobe.model.object import MapKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.engine.syscalls import Kernel
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
        if error.errno != errno.EPERM or not raise_memlock(kernel_release()):
            raise _map_refused(definition, error) from error
        try:
            fd = bpf.create_map(kernel, definition)
        except OSError as again:
            raise _map_refused(definition, again) from again
    if definition.initial:
        _fill(kernel, definition, fd)
    return fd


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


def map_bytes(definition: MapDef, cpus: int) -> int:
    """About how much memory the kernel takes for a map, without its own overhead."""
    if definition.kind is MapKind.RINGBUF:
        return definition.max_entries
    value = _round8(definition.value_size)
    if definition.kind is MapKind.PERCPU_ARRAY:
        value *= cpus
    return definition.max_entries * (_round8(definition.key_size) + value)


def load(kernel: Kernel, bytecode: Bytecode, map_fds: Sequence[int]) -> int:
    """Relocate and load. Raises `VerifierError`, `LoadError`, `PrivilegeError`.

    The verifier writes its log only on a second try, after a refusal: writing it takes longer
    than verifying.
    """
    program = bytecode.program
    instructions = relocate(bytecode.instructions, map_fds)
    fd, refusal = _load_quietly(kernel, bytecode, instructions)
    if refusal is None:
        return fd
    if refusal.errno == errno.EPERM and raise_memlock(kernel_release()):
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
    raise _program_refused(bytecode, refusal, log) from refusal


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


def _map_refused(definition: MapDef, error: OSError) -> BpfprobeError:
    what, code = f"map {definition.name} ({definition.kind.name})", error.errno or 0
    kb = map_bytes(definition, len(possible_cpus())) // 1024 + 1
    if code == errno.EPERM:
        privileges, limit = read_privileges(), memlock_kb()
        if privileges.may_load and charges_memlock(kernel_release()) and limit is not None:
            return _memlock(what, kb, limit)
        return explain_refusal(f"create {what}", privileges)
    if code in (errno.ENOMEM, errno.E2BIG):
        return LoadError(
            f"{what} needs about {kb} kB, which the kernel does not give: {error.strerror}",
            errno=code,
            hint="lower its number of entries, or the size of the buffer",
            code="MAP_SIZE",
        )
    if code == errno.EINVAL and definition.kind is MapKind.RINGBUF:
        return LoadError(
            f"{what} of {definition.max_entries} bytes was refused: the kernel is older than Linux "
            "5.8, or the size is no power of two of at least a page",
            errno=code,
            hint="transport=perf needs no ring buffer",
            code="NO_MAP_KIND",
        )
    return LoadError(
        f"{what} was refused: {error.strerror} (key {definition.key_size} bytes, value "
        f"{definition.value_size} bytes, {definition.max_entries} entries, "
        f"flags {definition.flags:#x})",
        errno=code,
        code="MAP",
    )


def _memlock(what: str, kb: int, limit_kb: int) -> LoadError:
    return LoadError(
        f"{what} needs about {kb} kB of locked memory and the limit is {limit_kb} kB",
        errno=errno.EPERM,
        hint=f"ulimit -l unlimited (or CAP_SYS_RESOURCE); {kb} kB come on top of what is locked",
        code="MEMLOCK",
    )


def _program_refused(bytecode: Bytecode, error: OSError, log: str) -> BpfprobeError:
    name, code = bytecode.program.name, error.errno or 0
    count = len(bytecode.instructions) // bpf.INSTRUCTION_SIZE
    found = complaint(log)
    if code == errno.EPERM and not log:
        privileges, limit = read_privileges(), memlock_kb()
        if privileges.may_load and charges_memlock(kernel_release()) and limit is not None:
            return _memlock(f"program {name}", len(bytecode.instructions) // 1024 + 4, limit)
        return explain_refusal(f"load program {name}", privileges)
    if code == errno.E2BIG and not log:
        return LoadError(
            f"program {name} has {count} instructions, more than this kernel takes",
            errno=code,
            hint="4096 before Linux 5.2, a million since; capture less in one probe",
            code="PROGRAM_SIZE",
        )
    if not log:
        return LoadError(
            f"program {name} of {count} instructions was refused: {error.strerror}; the kernel "
            "gave no reason",
            errno=code,
            code="PROGRAM",
        )
    if code == errno.E2BIG:
        walked = "" if found.processed is None else f" (it gave up after {found.processed})"
        return VerifierError(
            f"program {name} of {count} instructions has more paths than the verifier walks"
            f"{walked}",
            errno=code,
            log=log,
            hint=found.hint or "capture and filter less in one probe; loops cost most",
            instruction=found.instruction,
        )
    return VerifierError(
        f"the verifier refused program {name}: {found.text or error.strerror}",
        errno=code,
        log=log,
        hint=found.hint,
        instruction=found.instruction,
    )


def _round8(size: int) -> int:
    return (size + 7) // 8 * 8
