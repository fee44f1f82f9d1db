"""Arguments and results of functions made at random have the values that they were given."""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.pipeline import describe
from bpfprobe.target.live import LiveTarget
from tests.native.programs import needs_uprobes
from tests.native.test_debug_information import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = needs_uprobes

FUNCTIONS, STRUCTS = 37, 24
_MOST = 12  # captures of a probe: some of each argument
_INTEGERS = {
    "signed char": (8, True), "unsigned char": (8, False), "short": (16, True),
    "unsigned short": (16, False), "int": (32, True), "unsigned": (32, False), "long": (64, True),
    "unsigned long": (64, False), "long long": (64, True),
}  # fmt: skip

Made = tuple[str, list[tuple[str, Any]]]
"""A value as C has it, and what each number in it must be, by the path to it."""


@dataclass
class Type:
    """A type of C: ``declare`` gives a declaration of a name, ``make`` a value at random."""

    declare: Callable[[str], str]
    make: Callable[[random.Random], Made]
    is_float: bool = False


@dataclass
class Program:
    """Structs, functions that take and return them, and the calls that are made."""

    seed: int
    lines: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    expected: list[tuple[list[tuple[str, Any]], list[tuple[str, Any]]]] = field(
        default_factory=list
    )

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        structs: list[Type] = []
        for number in range(STRUCTS):
            structs.append(self._struct(rng, number, structs))
        for number in range(FUNCTIONS):
            self._function(rng, number, structs)

    def source(self) -> str:
        """The program: each byte that it reads has it call every function once."""
        calls = "\n".join(self.calls)
        return (
            "#include <unistd.h>\nenum colour { RED, GREEN = -1 };\n" + "\n".join(self.lines) + "\n"
            f"int main(void) {{ char go; while (read(0, &go, 1) == 1) {{\n{calls}\n"
            'if (write(1, "k", 1) != 1) return 1; } return 0; }\n'
        )

    def _struct(self, rng: random.Random, number: int, known: list[Type]) -> Type:
        is_union, packed = rng.random() < 0.12, rng.random() < 0.15
        members = [(f"m{n}", _member(rng, known)) for n in range(rng.choice([1, 2, 2, 2, 3, 4]))]
        name = f"{'union' if is_union else 'struct'} s{number}"
        body = " ".join(ktype.declare(member) + ";" for member, ktype in members)
        self.lines.append(f"{name} {{ {body} }}{' __attribute__((packed))' if packed else ''};")

        def make(rng: random.Random) -> Made:
            texts, numbers = [], []
            for member, ktype in members[:1] if is_union else members:
                text, inside = ktype.make(rng)
                texts.append(f".{member} = {text}")
                numbers += [(f".{member}{path}", value) for path, value in inside]
            return f"{{{', '.join(texts)}}}", numbers

        return Type(lambda given: f"{name} {given}", make)

    def _function(self, rng: random.Random, number: int, structs: list[Type]) -> None:
        types = [
            rng.choice(structs) if rng.random() < 0.5 else _scalar(rng)
            for _ in range(rng.randint(1, 8))
        ]
        result = rng.choice(structs) if rng.random() < 0.6 else _scalar(rng)
        given: list[tuple[str, Any]] = []
        handed = []
        for n, ktype in enumerate(types):
            text, inside = ktype.make(rng)
            self.lines.append(f"static {ktype.declare(f'a{number}_{n}')} = {text};")
            handed.append(f"a{number}_{n}")
            given += [(f"p{n}{path}", value) for path, value in inside]
        text, inside = result.make(rng)
        self.lines.append(f"static {result.declare(f'g{number}')} = {text};")
        declared = ", ".join(ktype.declare(f"p{n}") for n, ktype in enumerate(types))
        self.lines.append(
            f"__attribute__((noipa)) {result.declare(f'f{number}')}({declared}) "
            f'{{ asm volatile("" ::: "memory"); return g{number}; }}'
        )
        self.calls.append(f"f{number}({', '.join(handed)});")
        returned = [(f"$retval{path}", value) for path, value in inside]
        self.expected.append((given, returned))


def _scalar(rng: random.Random) -> Type:
    kind = rng.choice([*_INTEGERS, "_Bool", "float", "double", "void *", "enum colour"])
    if kind in _INTEGERS:
        return _integer(kind, *_INTEGERS[kind])
    if kind == "_Bool":
        return Type(lambda name: f"_Bool {name}", lambda rng: _plain(rng.random() < 0.5, int))
    if kind == "enum colour":
        return Type(lambda name: f"{kind} {name}", lambda rng: _plain(rng.choice([0, -1]), int))
    if kind == "void *":
        return Type(
            lambda name: f"void *{name}",
            lambda rng: _plain(rng.getrandbits(47), lambda value: f"(void *){value:#x}"),
        )
    return Type(lambda name: f"{kind} {name}", lambda rng: _plain(rng.randint(-99, 99) / 8, str))


def _integer(kind: str, bits: int, signed: bool, width: int = 0) -> Type:
    def make(rng: random.Random) -> Made:
        value = rng.getrandbits(width or bits)
        if signed and value >> (width or bits) - 1:
            value -= 1 << (width or bits)
        return _plain(value, lambda value: f"({kind}){value % (1 << 64)}ULL")

    return Type(lambda name: f"{kind} {name}" + (f" : {width}" if width else ""), make)


def _plain(value: Any, text: Callable[[Any], object]) -> Made:
    return str(text(value)), [("", value)]


def _member(rng: random.Random, known: list[Type]) -> Type:
    form = rng.random()
    if form < 0.2:
        kind = rng.choice(["int", "unsigned", "unsigned long"])
        bits, signed = _INTEGERS[kind]
        return _integer(kind, bits, signed, rng.randint(1, bits - 1))
    ktype = rng.choice(known) if known and form < 0.35 else _scalar(rng)
    if form < 0.85:
        return ktype
    count = rng.randint(1, 3)

    def make(rng: random.Random) -> Made:
        parts = [ktype.make(rng) for _ in range(count)]
        numbers = [
            (f"[{n}]{path}", value) for n, (_, inside) in enumerate(parts) for path, value in inside
        ]
        return f"{{{', '.join(text for text, _ in parts)}}}", numbers

    return Type(lambda name: f"{ktype.declare(name)}[{count}]", make)


def is_there(place: str, path: str, value: Any, target: LiveTarget) -> bool:
    """Whether a number can be taken: all can but floats that are in vector registers."""
    try:
        describe([bp.probe(f"{place} {path}")], target)
    except bp.SpecError as error:
        if error.code != "FLOAT_ARGUMENT" or not isinstance(value, float):
            raise
        return False
    return True


@pytest.mark.parametrize(("seed", "options"), [(11, ["-O2"]), (12, ["-O0", "-gdwarf-4"])])
def test_every_number_is_what_was_handed_over(
    tmp_path: Path, seed: int, options: list[str]
) -> None:
    """Numbers, bit fields, unions, packed and nested structs; 37 functions called once each."""
    made, target = Program(seed), LiveTarget()
    path = tmp_path / "random"
    path.with_suffix(".c").write_text(made.source())
    command = ["gcc", *options, "-g", "-w", "-o", path, path.with_suffix(".c")]
    subprocess.run(command, check=True)
    rng = random.Random(seed)
    texts, wanted, known = [], [], 0
    for number, (given, returned) in enumerate(made.expected):
        entry, back = f"uprobe:{path}:f{number}", f"uretprobe:{path}:f{number}"
        some = rng.sample(given, min(_MOST, len(given)))
        results = rng.sample(returned, min(_MOST, len(returned)))
        for place, asked in ((entry, some), (back, [*results, *some[:4]])):
            there = [(p, value) for p, value in asked if is_there(place, p, value, target)]
            texts.append(f"{place} " + " ".join(f"v{n}={p}" for n, (p, _) in enumerate(there)))
            wanted.append([value for _, value in there])
            known += len(there)
    wrong = []
    for text, events, values in zip(texts, run(path, *texts), wanted, strict=True):
        assert len(events) == 1, text
        found = [getattr(events[0], f"v{n}") for n in range(len(values))]
        wrong += [(text, found, values)] if found != values else []
    assert not wrong
    assert known > 300
