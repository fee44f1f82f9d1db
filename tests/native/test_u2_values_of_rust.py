"""Arguments and results of Rust's functions have the values that they had, or are refused."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

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
    pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc"),
]

KINDS = [*INTEGERS, *INTEGERS, "bool", "float", "text", "text", "list", "array", "struct", "enum"]
_FOR_C = '#[no_mangle] pub extern "C" fn'
CODES = {"right", "FLOAT_ARGUMENT", "STRUCT_ARGUMENT", "NO_BTFARG", "NO_RETVAL", "BAD_TYPE"}


def _type(value: Value) -> str:
    if value.kind == "array":
        return f"[{_type(value.parts[0])}; {len(value.parts)}]"
    plain = {"float": "f64", "text": "&str", "list": "Vec<i32>", "enum": "Option<u32>"}
    return value.name if value.parts else plain.get(value.kind, value.kind)


def _literal(value: Value) -> str:
    """Return the value as the compiler must not know it in advance."""
    if value.parts:
        inner = [_literal(part) for part in value.parts]
        if value.kind == "array":
            return f"[{', '.join(inner)}]"
        return f"{value.name} {{ {', '.join(f'm{n}: {part}' for n, part in enumerate(inner))} }}"
    if value.kind == "text":
        return f'opaque("{value.value}")'
    if value.kind == "list":
        return f"vec![opaque(0); {len(value.value)}]"
    if value.kind == "enum":
        return f"opaque({'None' if value.value is None else f'Some({value.value})'})"
    if value.kind == "bool":
        return f"opaque({str(value.value).lower()})"
    suffix = "f64" if value.kind == "float" else value.kind
    return f"opaque({value.value}{suffix})"


def _numbers(value: Value) -> Numbers:
    if value.kind == "text":
        return [(".length", len(value.value))]
    if value.kind == "list":
        return [(".len", len(value.value))]
    if value.kind == "array":
        return [(f"[{n}]", part.value) for n, part in enumerate(value.parts)]
    if value.parts:
        return [
            (f".m{n}{path}", number)
            for n, part in enumerate(value.parts)
            for path, number in _numbers(part)
        ]
    return [("", value.value if value.kind != "enum" else "refused")]


def _declared(value: Value) -> list[str]:
    inner = [line for part in value.parts for line in _declared(part)]
    if value.kind != "struct":
        return inner
    members = ", ".join(f"m{n}: {_type(part)}" for n, part in enumerate(value.parts))
    members = members.replace("&str", "&'static str")
    return [*inner, f"#[derive(Clone)] pub struct {value.name}{{ {members} }}"]


def source(made: list[Function]) -> str:
    """Return the program, which calls each function once at each byte that it reads."""
    lines = [
        "#![allow(warnings)]",
        "use std::io::{Read, Write};",
        "#[inline(never)] fn opaque<T>(v: T) -> T"
        " { let c = unsafe { std::ptr::read_volatile(&v) }; std::mem::forget(v); c }",
    ]
    calls = []
    for number, one in enumerate(made):
        lines += [line for value in (*one.given, one.result) for line in _declared(value)]
        given = ", ".join(f"p{n}: {_type(value)}" for n, value in enumerate(one.given))
        result = _type(one.result).replace("&str", "&'static str")
        head = f"{_FOR_C if number % 5 == 0 else 'pub fn'} {one.name}"
        # What is not used the callers do not hand over, and nothing says so.
        used = " ".join(
            f"let q{n} = unsafe {{ std::ptr::read_volatile(&p{n}) }}; std::mem::forget(q{n});"
            for n in range(len(one.given))
        )
        lines.append(
            f"#[inline(never)] {head}({given}) -> {result} {{ {used} {_literal(one.result)} }}"
        )
        calls.append(f"opaque({one.name}({', '.join(map(_literal, one.given))}));")
    return "\n".join(
        [
            *lines,
            "fn main() { let mut go = [0u8; 1];",
            "while std::io::stdin().read(&mut go).unwrap() == 1 {",
            *calls,
            'std::io::stdout().write_all(b"k").unwrap(); std::io::stdout().flush().unwrap(); } }',
        ]
    )


def build(folder: Path, made: list[Function], options: list[str]) -> Path:
    """Return the program that rustc makes of the functions."""
    (folder / "prog.rs").write_text(source(made))
    command = ["rustc", "-g", *options, "-o", folder / "prog", folder / "prog.rs"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "prog"


@pytest.mark.parametrize(("seed", "options"), [(19, []), (20, ["-O"])])
def test_every_number_is_what_was_handed_over(
    tmp_path: Path, seed: int, options: list[str]
) -> None:
    """Numbers, texts, vectors, arrays, structs and enums with data; a fifth are ``extern "C"``."""
    made = functions(seed, whole_or_sample(149), KINDS)
    path = build(tmp_path, made, options)
    asked: list[tuple[str, str, Any]] = []
    for number, one in enumerate(made):
        place = f"{path}:{one.name if number % 5 == 0 else f'prog::{one.name}'}"
        for n, value in enumerate(one.given):
            asked += [(place, f"p{n}{tail}", number) for tail, number in _numbers(value)]
            if value.kind in INTEGERS:
                asked.append((place, f"$arg{n + 1}", value.value))
        asked += [(f"r:{place}", f"$retval{tail}", number) for tail, number in _numbers(one.result)]
    counts, wrong = tried(path, asked)
    assert not wrong, counts
    assert counts["right"] > 2 * len(made)
    assert set(counts) <= CODES
