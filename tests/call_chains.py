"""A program of a few calls, made without a compiler, whose functions begin in many ways."""

from __future__ import annotations

import struct
import subprocess
from typing import TYPE_CHECKING

import bpfprobe as bp
from bpfprobe.model.stack import MAX_FRAMES

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 23
BASE = 0x400000
_HEADERS = 64 + 56
_PUSH, _POP = "55 48 89 e5", "5d c3"  # push %rbp; mov %rsp,%rbp, and pop %rbp; ret
_ENDBR = "f3 0f 1e fa"
_LEA = "8d 47 01"  # lea 0x1(%rdi),%eax
_COUNT = "83 ef 01"  # sub $0x1,%edi

LEAVES = {
    "push_leaf": [f"{_PUSH} {_POP}"],
    "endbr_leaf": [f"{_ENDBR} {_LEA} c3"],
    "endbr_push": [f"{_ENDBR} {_PUSH} {_POP}"],
    "lea_leaf": [f"{_LEA} c3"],
    "sub_leaf": ["48 83 ec 18 48 83 c4 18 c3"],
    "one_leaf": ["c3"],
    "nop5_leaf": ["0f 1f 44 00 00 c3"],
    "wide_push": ["41 55 41 5d c3"],  # push %r13
    "tail": ["jmp tailed"],
    "warm": [_PUSH, "jmp warm.cold"],
}
AGAIN = {  # each calls itself until %edi is 0
    "again": [_COUNT, "74 0a", _PUSH, "call again", _POP],
    "again_push": [_PUSH, _COUNT, "74 05", "call again_push", _POP],
    "again_endbr": [_ENDBR, _COUNT, "74 0a", _PUSH, "call again_endbr", _POP],
}
FUNCTIONS = {
    # mov $ROUNDS,%ebx; xor %ebp,%ebp; 1: call fa; dec %ebx; jnz 1b; exit(0)
    "_start": [f"bb {ROUNDS:02x} 00 00 00 31 ed", "call fa", "ff cb 75 f7",
               "b8 3c 00 00 00 31 ff 0f 05"],
    "fa": [_PUSH, "call fb", _POP],
    "fb": [f"{_ENDBR} {_PUSH}", "call fc", _POP],
    "fc": [_PUSH, *(f"call {name}" for name in LEAVES),
           *(part for name in AGAIN for part in ("bf 03 00 00 00", f"call {name}")),
           "bf c8 00 00 00", "call deep", _POP],
    **LEAVES,
    **AGAIN,
    "tailed": [f"{_LEA} c3"],
    "warm.cold": [f"{_LEA} {_POP}"],
    "deep": [_COUNT, "74 0a", _PUSH, "call deep", _POP],
}  # fmt: skip
"""Machine code and, by name, jumps and calls."""

CALLERS = ["fc", "fb", "fa", "_start"]
DEEP = 200


def write_program(path: Path) -> dict[str, range]:
    """Write the program, and return where each of its functions is in memory."""
    places: dict[str, range] = {}
    at = BASE + _HEADERS
    for name, parts in FUNCTIONS.items():
        size = sum(5 if " " in part and part[0] in "cj" and part[1] in "am" else
                   len(bytes.fromhex(part)) for part in parts)  # fmt: skip
        places[name] = range(at, at + size)
        at += size
    code = b""
    for parts in FUNCTIONS.values():
        for part in parts:
            word, _, target = part.partition(" ")
            if word in ("call", "jmp"):
                behind = BASE + _HEADERS + len(code) + 5
                opcode = b"\xe8" if word == "call" else b"\xe9"
                code += opcode + struct.pack("<i", places[target].start - behind)
            else:
                code += bytes.fromhex(part)
    path.write_bytes(_elf(code, places))
    path.chmod(0o755)
    return places


def name_at(places: dict[str, range], address: int) -> str:
    """Return the function that holds an address."""
    return next((name for name, place in places.items() if address in place), hex(address))


def _elf(code: bytes, places: dict[str, range]) -> bytes:
    """An executable of one segment, with a symbol for each function."""
    names, strings, symbols = b"\0", {}, bytes(24)
    for name, place in places.items():
        strings[name] = len(names)
        names += name.encode() + b"\0"
        symbols += struct.pack("<IBBHQQ", strings[name], 0x12, 0, 1, place.start, len(place))
    titles = b"\0.text\0.symtab\0.strtab\0.shstrtab\0"
    after = _HEADERS + len(code)
    symbols_at, names_at = after, after + len(symbols)
    titles_at = names_at + len(names)
    sections_at = titles_at + len(titles)
    sections = bytes(64)
    for title, kind, flags, address, at, size, link, info, entry in (
        (1, 1, 6, BASE + _HEADERS, _HEADERS, len(code), 0, 0, 0),
        (7, 2, 0, 0, symbols_at, len(symbols), 3, 1, 24),
        (15, 3, 0, 0, names_at, len(names), 0, 0, 0),
        (23, 3, 0, 0, titles_at, len(titles), 0, 0, 0),
    ):
        sections += struct.pack(
            "<IIQQQQIIQQ", title, kind, flags, address, at, size, link, info, 1, entry
        )
    start = places["_start"].start
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, start, 64, sections_at, 0, 64, 56, 1, 64, 5, 4
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, after, after, 0x1000)
    return header + segment + code + symbols + names + titles + sections


def check_chains(folder: Path) -> None:
    """Assert that at each beginning the stack is that at the return, after the function itself."""
    program = folder / "chains"
    places = write_program(program)
    names = [*LEAVES, *AGAIN, "tailed"]
    at = {**{name: name for name in names}, "behind_endbr": "endbr_leaf+4"}
    entries = _stacks(
        program, [bp.uprobe(str(program), at[name], event=name, s="ustack") for name in at]
    )
    # Before Linux 6.12 an address that a return probe has replaced stays so in stacks: of calls
    # within calls only the outermost return tells.
    once = [name for name in names if name not in AGAIN]
    returns = _stacks(
        program, [bp.uretprobe(str(program), name, event=name, s="ustack") for name in once]
    )
    returns["behind_endbr"] = returns["endbr_leaf"]
    assert entries.keys() == at.keys()
    for event, stacks in entries.items():
        calls = 3 if event in AGAIN else 1
        assert len(stacks) == calls * ROUNDS
        if event not in AGAIN:
            assert {stack[1:] for stack in stacks} == {*returns[event]}, event
        chains = {tuple(name_at(places, address) for address in stack) for stack in stacks}
        function = at[event].partition("+")[0]
        assert chains == {(function,) * n + tuple(CALLERS) for n in range(1, calls + 1)}
    cold = _stacks(program, [bp.uprobe(str(program), "warm.cold", event="cold", s="ustack")])
    named = {tuple(name_at(places, address) for address in stack) for stack in cold["cold"]}
    assert named == {("warm.cold", *CALLERS)}  # nothing calls it: the chain is whole
    deepest = bp.uprobe(str(program), "deep", s="ustack", filter="$arg1 == 1")
    with bp.Session(deepest) as session:
        subprocess.run([program], check=True)
        events = list(session.events(duration=0))
    assert [len(event.s) for event in events] == [MAX_FRAMES] * ROUNDS
    assert all(event.truncated == {"s"} for event in events)
    assert {address in places["deep"] for event in events for address in event.s} == {True}


def _stacks(program: Path, probes: list[bp.Probe]) -> dict[str, list[tuple[int, ...]]]:
    """Run the program, and return the stacks of each probe by its event's name."""
    found: dict[str, list[tuple[int, ...]]] = {}
    with bp.Session(*probes) as session:
        subprocess.run([program], check=True)
        for event in session.events(duration=0):
            assert not event.faults
            assert not event.truncated
            found.setdefault(event.probe, []).append(event.s)
    return found
