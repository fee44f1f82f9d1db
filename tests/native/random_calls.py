"""Functions made at random in Go and Rust, with the values that they are called with.

A description of a function is neutral: kinds of arguments with a value. Each language has a writer.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bpfprobe as bp
from bpfprobe.pipeline import describe
from bpfprobe.target.live import LiveTarget

if TYPE_CHECKING:
    from pathlib import Path

ALL_FUNCTIONS = 500
_AT_A_TIME = 100
INTEGERS = {f"{sign}{bits}": (bits, sign == "i") for sign in "iu" for bits in (8, 16, 32, 64)}

Numbers = list[tuple[str, Any]]
"""Each number in a value, by the path to it."""


@dataclass(frozen=True)
class Value:
    """``kind`` is a number's, ``text``, ``list`` (of i32), ``array``, ``struct`` or ``enum``."""

    kind: str
    value: Any
    parts: tuple[Value, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Function:
    """A function that returns ``result``, whatever it is handed."""

    name: str
    given: tuple[Value, ...]
    result: Value


def functions(seed: int, count: int, kinds: list[str]) -> list[Function]:
    """Return functions with up to eleven arguments of these kinds."""
    rng = random.Random(seed)
    return [
        Function(
            f"f{number}",
            tuple(_value(rng, kinds, f"T{number}x{n}") for n in range(rng.randint(1, 11))),
            _value(rng, kinds, f"R{number}"),
        )
        for number in range(count)
    ]


def _value(rng: random.Random, kinds: list[str], name: str, depth: int = 0) -> Value:
    kind = rng.choice(kinds)
    if kind in ("struct", "array", "tuple") and depth < 2:
        count = rng.randint(1, 3)
        inner = [one for one in kinds if one != "enum"]
        if kind == "array":
            first = _value(rng, [one for one in inner if one in INTEGERS], name)
            return Value(kind, None, (first,) * count, name)
        parts = tuple(_value(rng, inner, f"{name}_{n}", depth + 1) for n in range(count))
        return Value("struct", None, parts, name)
    if kind == "enum" and depth == 0:
        return Value(kind, rng.choice([None, rng.getrandbits(31)]), (), name)
    if kind in ("text", "list"):
        return Value(kind, "x" * rng.randint(1, 20))
    if kind == "bool":
        return Value(kind, rng.random() < 0.5)
    if kind == "float":
        return Value(kind, rng.randint(-99, 99) / 8)
    if kind not in INTEGERS:
        kind = rng.choice(list(INTEGERS))
    bits, signed = INTEGERS[kind]
    value = rng.getrandbits(bits)
    return Value(kind, value - (1 << bits) if signed and value >> bits - 1 else value)


def whole_or_sample(sample: int) -> int:
    """Return how many functions are tried: a sample, all where BPFPROBE_ALL_FUNCTIONS is set."""
    return ALL_FUNCTIONS if os.environ.get("BPFPROBE_ALL_FUNCTIONS") else sample


def tried(
    program: Path, asked: list[tuple[str, str, Any]]
) -> tuple[Counter[str], list[tuple[str, Any, Any]]]:
    """Return how many captures were right, or refused by which code, and each that was wrong.

    ``asked`` has (place, capture, value). The program calls each function once at each byte.
    """
    target, counts = LiveTarget(), Counter[str]()
    taken: dict[str, list[tuple[str, Any]]] = {}
    for place, capture, value in asked:
        try:
            describe([bp.probe(f"{_point(place)} {capture}")], target)
        except bp.SpecError as error:
            counts[error.code] += 1
            continue
        taken.setdefault(place, []).append((capture, value))
    wrong: list[tuple[str, Any, Any]] = []
    places = list(taken.items())
    for first in range(0, len(places), _AT_A_TIME):
        wrong += _one_round(program, places[first : first + _AT_A_TIME], counts)
    return counts, wrong


def _point(place: str) -> str:
    """Return the point of a place, which begins with ``r:`` for a function's return."""
    return f"uretprobe:{place[2:]}" if place.startswith("r:") else f"uprobe:{place}"


def _one_round(
    program: Path, places: list[tuple[str, list[tuple[str, Any]]]], counts: Counter[str]
) -> list[tuple[str, Any, Any]]:
    probes = []
    for n, (place, captures) in enumerate(places):
        text = " ".join(f"v{i}={capture}" for i, (capture, _) in enumerate(captures))
        probes.append(bp.probe(f"p{n}={_point(place)} {text}"))
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with bp.Session(*probes, pid=process.pid) as session:
            process.stdin.write(b"g")
            assert process.stdout.read(1) == b"k"
            events = list(session.events(duration=0))
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()
    wrong: list[tuple[str, Any, Any]] = []
    for n, (place, captures) in enumerate(places):
        own = [event for event in events if event.probe == f"p{n}"]
        for i, (capture, value) in enumerate(captures):
            found = [getattr(event, f"v{i}") for event in own]
            if found == [value]:
                counts["right"] += 1
            else:
                wrong.append((f"{place} {capture}", found, value))
    return wrong
