"""Where a compiler puts the arguments of a function, and where bpfprobe looks for them.

Both as a tuple of pieces: ``("reg", N)`` with DWARF's number for a register of numbers,
``("vec",)`` for one of floats, ``("stack", OFFSET)`` from the first argument that is there;
``("ref", PIECE)`` for the address of the value. What a compiler says comes from the DWARF of a
shared library.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from bpfprobe.errors import TargetError
from bpfprobe.model.value import Argument, BinaryOperation, Constant, Load, RegisterValue, Space
from bpfprobe.resolve.operand import ByValueOperand, MemoryOperand, NumberOperand
from bpfprobe.resolve.passing import argument_places

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import Prototype
    from bpfprobe.resolve.convention import Members
    from bpfprobe.resolve.operand import Operand

    Piece = tuple[Any, ...]

COMPILERS = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}
_VECTORS = {"x86_64": range(17, 33), "aarch64": range(64, 96)}
_REG0, _REG31, _BREG0, _BREG31, _FBREG, _PIECE = 0x50, 0x6F, 0x70, 0x8F, 0x91, 0x93
_REGX = 0x90


def library(folder: Path, source: str, arch: str, *options: str) -> Path:
    """Compile C for a processor, with debug information and nothing of a C library."""
    text = folder / f"stubs-{arch}.c"
    text.write_text(source)
    made = text.with_suffix(".so")
    flags = ["-O2", "-g", "-w", "-Wno-psabi", "-shared", "-fPIC", "-nostdlib", *options]
    subprocess.run([COMPILERS[arch], *flags, "-o", made, text], check=True)
    return made


def has_compiler(arch: str) -> bool:
    return shutil.which(COMPILERS[arch]) is not None


def compiler_places(made: Path, arch: str) -> dict[str, list[tuple[Piece, ...]]]:
    """Where each parameter of each function is on entry, as the compiler describes it."""
    from elftools.dwarf.locationlists import LocationParser
    from elftools.elf.elffile import ELFFile

    found: dict[str, list[tuple[Piece, ...]]] = {}
    with made.open("rb") as file:
        dwarf = ELFFile(file).get_dwarf_info()
        parser = LocationParser(dwarf.location_lists())
        for unit in dwarf.iter_CUs():
            for die in unit.get_top_DIE().iter_children():
                wanted = {"DW_AT_low_pc", "DW_AT_name"} <= die.attributes.keys()
                if die.tag != "DW_TAG_subprogram" or not wanted:
                    continue
                name = die.attributes["DW_AT_name"].value.decode()
                found[name] = [
                    _described(one, parser, unit["version"], arch)
                    for one in die.iter_children()
                    if one.tag == "DW_TAG_formal_parameter"
                ]
    return found


def _described(parameter: Any, parser: Any, version: int, arch: str) -> tuple[Piece, ...]:
    attribute = parameter.attributes.get("DW_AT_location")
    if attribute is None:
        return ()
    place = parser.parse_from_attribute(attribute, version, parameter)
    code = list(place.loc_expr if hasattr(place, "loc_expr") else place[0].loc_expr)
    pieces: list[Piece] = []
    while code:
        operation = code.pop(0)
        if _REG0 <= operation <= _REG31 or operation == _REGX:
            number = _leb(code) if operation == _REGX else operation - _REG0
            pieces.append(("vec",) if number in _VECTORS[arch] else ("reg", number))
        elif operation == _FBREG:
            pieces.append(("stack", _leb(code, signed=True)))
            if code[:1] == [0x06]:  # DW_OP_deref
                code.pop(0)
                pieces[-1] = ("ref", pieces[-1])
        elif _BREG0 <= operation <= _BREG31:
            if _leb(code, signed=True):
                return ()
            pieces.append(("ref", ("reg", operation - _BREG0)))
        elif operation == _PIECE:
            _leb(code)
        else:
            raise ValueError(f"DW_OP {operation:#x}")
    if any(piece[0] == "stack" and piece[1] < 0 for piece in pieces):
        return ()  # a local variable: where it came from is not described
    return tuple(pieces)


def _leb(code: list[int], *, signed: bool = False) -> int:
    number = shift = 0
    while True:
        byte = code.pop(0)
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return number - (1 << shift) if signed and byte & 0x40 else number


def our_places(prototype: Prototype, arch: Arch, members: Members) -> list[tuple[Piece, ...]]:
    """Where bpfprobe looks for each parameter on entry."""
    found = argument_places(prototype, arch, members, space=Space.USER, returns=False)
    return [_looked_for(place, arch) for _, place in found]


def _looked_for(place: Operand | TargetError, arch: Arch) -> tuple[Piece, ...]:
    match place:
        case TargetError(code="FLOAT_ARGUMENT"):
            return (("vec",),)
        case TargetError():
            return (("refused", place.message),)
        case NumberOperand(value):
            return (_piece(value, arch),)
        case MemoryOperand(base, offset):
            if isinstance(base, BinaryOperation) and isinstance(base.right, Constant):
                base, offset = base.left, base.right.value
            if base == RegisterValue(arch.stack_pointer):
                return (("stack", offset - 8 * arch.first_stack_slot),)
            return (("ref", _piece(base, arch)),)
        case ByValueOperand(eights):
            return tuple(("vec",) if one is None else _piece(one, arch) for one in eights)
    raise TypeError(place)


def _piece(value: object, arch: Arch) -> Piece:
    match value:
        case Argument(number):
            return ("reg", arch.dwarf_arguments[number - 1])
        case Load(RegisterValue(), offset):
            return ("stack", offset - 8 * arch.first_stack_slot)
    raise TypeError(value)


def differences(
    ours: Sequence[tuple[Piece, ...]], theirs: Sequence[tuple[Piece, ...]]
) -> list[tuple[int, Any, Any]]:
    """The parameters that are elsewhere, by their numbers from 1, of those that are described."""
    assert len(ours) == len(theirs)
    both = enumerate(zip(ours, theirs, strict=True), 1)
    return [(n, one, other) for n, (one, other) in both if other and not _alike(one, other)]


def _alike(ours: tuple[Piece, ...], theirs: tuple[Piece, ...]) -> bool:
    if ours == (("vec",),):  # or a long double, which is on the stack
        return theirs[0][0] in ("vec", "stack")
    if ours[0][0] == "refused":
        return "nothing in it" in ours[0][1]
    if theirs[0][0] == "stack":
        return ours == tuple(("stack", theirs[0][1] + 8 * n) for n in range(len(ours)))
    return ours == theirs or (ours[-1:] == (("vec",),) and ours[:-1] == theirs)  # padding above
