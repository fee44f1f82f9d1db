"""Which instruction holds a place of code, counted from where its function begins.

On x86-64 instructions have any length up to 15 bytes, and only who reads them one after the other
knows where one begins. Capstone reads them; on arm64 each has four bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfprobe.model.machine import FileOffset, Instruction
from bpfprobe.target.frames import frame_at

if TYPE_CHECKING:
    from bpfprobe.model.machine import BinarySymbol
    from bpfprobe.target.elf import Bytes, ElfFile

_ARM64_BYTES = 4
_LONGEST_X86 = 15
_AT_ONCE = 4096
_MOST_BYTES = 1 << 20
"""How far behind a function's beginning it is counted; that takes Capstone about a second."""


def beginning_at(data: Bytes, offset: FileOffset) -> Instruction:
    """The instruction that begins at a place."""
    return Instruction(offset, encoding=data.read(offset, _LONGEST_X86).hex(" "))


def instruction_at(
    elf: ElfFile, data: Bytes, function: BinarySymbol | None, offset: FileOffset
) -> Instruction:
    """See `Target.instruction_at`; ``function`` is the one that symbols have at the place."""
    if elf.machine == "aarch64":
        start = FileOffset(offset // _ARM64_BYTES * _ARM64_BYTES)
        return Instruction(start, _ARM64_BYTES, encoding=data.read(start, _ARM64_BYTES).hex(" "))
    if function is not None and function.offset == offset:
        return beginning_at(data, offset)
    begin = _of_function(elf, data, function, offset)
    if begin is None:
        unknown = "no symbol with a size, nor .eh_frame, says which function it is in"
    elif begin == offset:
        return beginning_at(data, offset)
    elif elf.machine != "x86_64":
        unknown = f"instructions of {elf.machine} are not known here"
    elif offset - begin > _MOST_BYTES:
        unknown = f"its function begins {offset - begin} bytes before"
    else:
        return _counted(elf, data, begin, offset)
    return Instruction(offset, unknown=unknown)


def _of_function(
    elf: ElfFile, data: Bytes, function: BinarySymbol | None, offset: int
) -> FileOffset | None:
    """The nearest beginning of a function that surely holds the place: one of a known size."""
    known = [] if function is None or not function.size else [function.offset]
    address = elf.address_of(offset)
    if address is not None and (frame := frame_at(elf, data, address)) is not None:
        start = elf.offset_of(frame[0])
        if start is not None and start <= offset:  # a damaged table may say anything
            known.append(FileOffset(start))
    return max(known, default=None)


def _counted(elf: ElfFile, data: Bytes, start: FileOffset, offset: FileOffset) -> Instruction:
    """Read from ``start`` on, until the place is reached."""
    try:
        engine = _capstone()
    except ImportError:
        unknown = "Capstone, which knows where instructions begin, is not installed "
        return Instruction(
            offset, unknown=unknown + "(Debian: python3-capstone; pip: bpfprobe[disassembly])"
        )
    at: int = start
    moved = (elf.address_of(start) or 0) - start  # what jumps to where is shown as nm(1) would
    while True:
        code = data.read(at, min(_AT_ONCE, offset - at + _LONGEST_X86))
        here = at
        for address, size, mnemonic, operands in engine.disasm_lite(code, at + moved):
            at = address - moved + size
            if offset < at:
                encoding = code[at - size - here : at - here].hex(" ")
                text = f"{mnemonic} {operands}".strip()
                return Instruction(FileOffset(at - size), size, text, encoding)
        if at == here:
            unknown = f"Capstone knows no instruction at {at + moved:#x}, before it"
            return Instruction(offset, unknown=unknown)


def _capstone() -> Any:
    import capstone  # type: ignore[import-untyped]  # it has no types

    return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
