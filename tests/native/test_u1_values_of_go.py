"""Arguments of Go's functions have the values that they were called with, or are refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.pipeline import describe
from bpfprobe.target.live import LiveTarget
from tests.native.programs import needs_uprobes
from tests.native.random_calls import (
    INTEGERS,
    Function,
    Numbers,
    Value,
    functions,
    tried,
    whole_or_sample,
)

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = [
    *needs_uprobes,
    pytest.mark.skipif(shutil.which("go") is None, reason="needs golang-go"),
]

KINDS = [*INTEGERS, "bool", "float", "text", "text", "list", "array", "struct", "struct"]
OTHERS = """
type T struct { id int64; name string }
//go:noinline
func (t *T) Do(x int) int { return x + int(t.id) }
//go:noinline
func Whole(e error, f func() int, x interface{}, b []byte, m map[string]int,
	unused int, z int8) int8 { return z }
//go:noinline
func Escapes(a int, b int16) *int { sink = b; return &a }
//go:noinline
func Generic[X any](x X, n int) int { return n }
var sink int16
func others() {
	t := &T{7, "x"}
	t.Do(11)
	Whole(nil, func() int { return 1 }, 3, []byte("abc"), nil, 5, -6)
	Escapes(3, -4)
	Generic(int8(3), -5)
}
"""


def _type(value: Value) -> str:
    if value.kind in INTEGERS:
        bits, signed = INTEGERS[value.kind]
        return f"{'int' if signed else 'uint'}{bits}"
    if value.kind == "array":
        return f"[{len(value.parts)}]{_type(value.parts[0])}"
    plain = {"bool": "bool", "float": "float64", "text": "string", "list": "[]int32"}
    return value.name or plain[value.kind]


def _literal(value: Value) -> str:
    if value.kind == "text":
        return f'"{value.value}"'
    if value.kind == "list":
        return f"make([]int32, {len(value.value)})"
    if value.kind == "bool":
        return str(value.value).lower()
    if value.parts:
        return f"{_type(value)}{{{', '.join(map(_literal, value.parts))}}}"
    return str(value.value)


def _numbers(value: Value) -> Numbers:
    if value.kind in ("text", "list"):
        length = len(value.value)
        text = [(f".str:bytes[{length}]", value.value.encode())] if value.kind == "text" else []
        return [(".len", length), *text]
    if value.kind == "array":
        return [(f"[{n}]", part.value) for n, part in enumerate(value.parts)]
    if value.parts:
        return [
            (f".m{n}{path}", number)
            for n, part in enumerate(value.parts)
            for path, number in _numbers(part)
        ]
    return [("", value.value)]


def _declared(value: Value) -> list[str]:
    inner = [line for part in value.parts for line in _declared(part)]
    if value.kind != "struct":
        return inner
    members = "; ".join(f"m{n} {_type(part)}" for n, part in enumerate(value.parts))
    return [*inner, f"type {value.name} struct {{ {members} }}"]


def source(made: list[Function]) -> str:
    """Return the program, which calls each function once at each byte that it reads."""
    lines, calls = ["package main", 'import "os"', OTHERS], []
    for one in made:
        lines += [line for value in (*one.given, one.result) for line in _declared(value)]
        given = ", ".join(f"p{n} {_type(value)}" for n, value in enumerate(one.given))
        lines += [
            "//go:noinline",
            f"func {one.name}({given}) {_type(one.result)} {{ return {_literal(one.result)} }}",
        ]
        calls.append(f"{one.name}({', '.join(map(_literal, one.given))})")
    body = "\n".join(calls)
    return "\n".join(
        [
            *lines,
            "func main() {",
            "go1 := make([]byte, 1)",
            "for { n, _ := os.Stdin.Read(go1); if n != 1 { return }",
            "others()",
            body,
            'os.Stdout.Write([]byte("k")) } }',
        ]
    )


def build(folder: Path, made: list[Function], flags: str) -> Path:
    """Return the program that Go makes of the functions."""
    (folder / "go.mod").write_text("module t\ngo 1.19\n")
    (folder / "main.go").write_text(source(made))
    command = ["go", "build", f"-gcflags={flags}", "-o", "prog", "."]
    environment = {**os.environ, "GOCACHE": str(folder.parent / "gocache"), "GOFLAGS": "-mod=mod"}
    subprocess.run(command, cwd=folder, check=True, env=environment)
    return folder / "prog"


@pytest.mark.parametrize(("seed", "flags"), [(17, ""), (18, "-N -l")])
def test_every_number_is_what_was_handed_over(tmp_path: Path, seed: int, flags: str) -> None:
    """Numbers, texts, slices, arrays and nested structs, and methods, closures and generics."""
    made = functions(seed, whole_or_sample(37), KINDS)
    path = build(tmp_path, made, flags)
    asked: list[tuple[str, str, Any]] = [
        (f"{path}:main.(*T).Do", "x", 11),
        (f"{path}:main.(*T).Do", "t->id", 7),
        (f"{path}:main.(*T).Do", "$arg2", 11),
        (f"{path}:main.Whole", "b.len", 3),
        (f"{path}:main.Whole", "z", -6),
        (f"{path}:main.Whole", "$arg7", -6),
        (f"{path}:main.Escapes", "a", 3),
        (f"{path}:main.Escapes", "b", -4),
    ]
    if not flags:  # without optimisation nothing says where generic code has it
        asked.append((f"{path}:main.Generic[go.shape.int8_0]", "n", -5))
    for one in made:
        for n, value in enumerate(one.given):
            place = f"{path}:main.{one.name}"
            asked += [(place, f"p{n}{tail}", number) for tail, number in _numbers(value)]
            if value.kind in INTEGERS:
                asked.append((place, f"$arg{n + 1}", value.value))
    counts, wrong = tried(path, asked)
    assert not wrong, counts
    assert counts["right"] > 7 * len(made)
    assert set(counts) <= {"right", "FLOAT_ARGUMENT", "STRUCT_ARGUMENT"}


def test_refusals_name_the_reason(tmp_path: Path) -> None:
    """Arguments by number without debug information, and more of them than there are."""
    path = build(tmp_path, [], "")
    with pytest.raises(bp.SpecError, match="has 2 arguments, so there is no argument 3"):
        describe([bp.probe(f"uprobe:{path}:main.(*T).Do $arg3")], LiveTarget())
    subprocess.run(["strip", "-g", path], check=True)
    with pytest.raises(bp.SpecError, match="is a Go program, which hands arguments over by"):
        describe([bp.probe(f"uprobe:{path}:main.(*T).Do $arg1")], LiveTarget())
    describe([bp.probe(f"uprobe:{path}:main.(*T).Do %ax:u64")], LiveTarget())
