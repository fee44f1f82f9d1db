"""Why a map or a program was refused, in words."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from bpfprobe.engine import bpf
from bpfprobe.engine.cpus import possible_cpus
from bpfprobe.engine.privilege import (
    charges_memlock,
    explain_refusal,
    kernel_release,
    memlock_kb,
    read_privileges,
)
from bpfprobe.engine.verifier_log import complaint
from bpfprobe.errors import BpfprobeError, LoadError, VerifierError
from bpfprobe.model.object import MapKind

if TYPE_CHECKING:
    from bpfprobe.model.object import Bytecode, MapDef


def map_bytes(definition: MapDef, cpus: int) -> int:
    """About how much memory the kernel takes for a map, without its own overhead."""
    if definition.kind is MapKind.RINGBUF:
        return definition.max_entries
    value = _round8(definition.value_size)
    if definition.kind is MapKind.PERCPU_ARRAY:
        value *= cpus
    return definition.max_entries * (_round8(definition.key_size) + value)


def map_refused(definition: MapDef, error: OSError) -> BpfprobeError:
    """Why the kernel did not create a map."""
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


def program_refused(bytecode: Bytecode, error: OSError, log: str) -> BpfprobeError:
    """Why the kernel did not load a program. ``log`` is the verifier's, empty where it has none."""
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
