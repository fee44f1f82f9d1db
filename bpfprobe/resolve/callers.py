"""Who puts the immediate caller into the stack of a program, at each place of a probe.

At its first instruction a function has no frame yet. Its caller is the word at the stack pointer,
or in the link register, and a chain of frame pointers goes on to the caller of that.

On x86-64 the kernel puts the caller in where the instruction is ``push %rbp`` or ``endbr64``: Linux
commit cfa7f3d2c526 ("perf,x86: avoid missing caller address in stack traces captured in uprobe")
(in v6.12, and backported), which added ``auprobe`` to ``struct uprobe_task``. It knows ``endbr64``
only where it is built with CONFIG_X86_KERNEL_IBT, as is_endbr() is false without. On
arm64 no kernel puts it in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.noun import replace
from bpfprobe.model.stack import Caller
from bpfprobe.resolve.members import find_member

if TYPE_CHECKING:
    from bpfprobe.model.arch import Arch
    from bpfprobe.model.machine import Binary, FileOffset
    from bpfprobe.model.site import UserSites
    from bpfprobe.target import Target

_PUSH_BP = b"\x55"
_ENDBR64 = bytes.fromhex("f30f1efa")

_NOT_CALLED = re.compile(
    r"\.cold(\.\d+)?$|^(_start|__restore_rt|_dl_runtime_(resolve|profile)\w*|_rt0_\w+|runtime\.rt0_go)$"
)
"""Symbols of code that nothing calls: the stack pointer does not point to a return address there.

A part that the compiler moved away is jumped to; the kernel starts programs at ``_start``.
"""


def caller_at(
    target: Target, arch: Arch, binary: Binary, offset: FileOffset, name: str = ""
) -> Caller:
    """Return who puts in the caller at a place; ``name`` is the function's that begins there.

    Without a name the symbols are asked. Inside of a function the chain is taken as it is.
    """
    start = offset
    if not name:
        function = target.function_at(binary, offset)
        if function is None:
            return Caller.KERNEL
        name, start = function.name, function.offset
    if _NOT_CALLED.search(name):
        return Caller.KERNEL
    if start != offset:
        passed = _code(target, binary, start)[: offset - start]
        if passed not in arch.landing_pads:
            return Caller.KERNEL
    if arch.link_register:
        return Caller.PROGRAM
    return _on_x86(target, _code(target, binary, offset))


def split_by_caller(
    sites: UserSites, target: Target, arch: Arch, binary: Binary
) -> tuple[tuple[UserSites, ...], tuple[Caller, ...]]:
    """Return the places in groups that can share a program, and the answer for each group."""
    groups: dict[Caller, list[int]] = {}
    for number, (offset, name) in enumerate(zip(sites.offsets, sites.names, strict=True)):
        groups.setdefault(caller_at(target, arch, binary, offset, name), []).append(number)
    split: list[UserSites] = []
    first = 0
    for numbers in groups.values():
        offsets = tuple(sites.offsets[number] for number in numbers)
        names = tuple(sites.names[number] for number in numbers)
        split.append(replace(sites, offsets=offsets, names=names, first=first))
        first += len(numbers)
    return tuple(split), tuple(groups)


def _code(target: Target, binary: Binary, offset: FileOffset) -> bytes:
    """Return the bytes at the beginning of an instruction; none where they are not known."""
    return bytes.fromhex(target.instruction_at(binary, offset, True).encoding)


def _on_x86(target: Target, code: bytes) -> Caller:
    repairs = _kernel_repairs(target)
    if repairs is False:
        return Caller.PROGRAM
    if code.startswith(_ENDBR64):
        repairs = _kernel_knows_endbr(target) if repairs else None
    elif code and not code.startswith(_PUSH_BP):
        return Caller.PROGRAM
    if repairs is None or not code:
        return Caller.UNKNOWN
    return Caller.KERNEL if repairs else Caller.PROGRAM


def _kernel_repairs(target: Target) -> bool | None:
    """Return whether the kernel looks at the probed instruction; None where BTF does not say."""
    try:
        task = target.struct("uprobe_task")
        return None if task is None else find_member(target, task, "auprobe") is not None
    except TargetError:  # a recording in which it was not asked
        return None


def _kernel_knows_endbr(target: Target) -> bool | None:
    """Return whether is_endbr() can be true: a function of the same option is there."""
    try:
        in_btf = target.prototype("ibt_save") is not None
        return in_btf or bool(target.symbols("ibt_save"))
    except TargetError:
        return None
