"""Nothing that a user writes reaches the C as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.model.machine import BinarySymbol, FileOffset, VirtualAddress
from tests.sample_machine import c_text, compiled, machine

if TYPE_CHECKING:
    from bpfprobe.pipeline import Compilation

HOSTILE = [
    '"; return 1; //',
    '*/ int evil(void) { } /*',
    "\\\n#define evil",
    "??/\n evil_trigraph",
    "%s%n $name ${evil}",
    "\x1b[31mevil\x9b",
    "${task_guards}evil",
    "'); DROP evil",
    "\u202eevil\u2066",
    "evilevilevil" * 5,
]  # fmt: skip
TOKEN = re.compile(
    r"""\s+ | /\*.*?\*/ | \#(?:[^\n]*\\\n)*[^\n]* | "[\w .+=%!;]*" | [A-Za-z_]\w*
      | 0x[0-9a-f]+(?:ULL|U)? | \d+(?:ULL|LL|U)? | [-+*/%&|^~!<>=?:;,.(){}\[\]\\]""",
    re.VERBOSE | re.DOTALL,
)


def shape(text: str) -> list[str]:
    """The tokens of a C text, all numbers alike."""
    found, at = [], 0
    while at < len(text):
        token = TOKEN.match(text, at)
        assert token is not None, f"no C: {text[at : at + 40]!r}"
        if not token[0].isspace():
            found.append("0" if token[0][0].isdigit() else token[0])
        at = token.end()
    return found


def quoted(data: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


def no_piece(text: str, c: str, harmless: str) -> None:
    """No four characters in a row of the hostile text stand in the C, but for what always does."""
    for at in range(len(text) - 3):
        piece = text[at : at + 4]
        assert piece not in c or piece in harmless


literals = st.binary(min_size=1, max_size=100).map(lambda data: data.replace(b"\0", b"\x01"))


@settings(max_examples=60)
@given(literals)
@example(b'"; return 1; //')
@example(b"*/ evil /*")
@example(b'\\"\n#include </etc/passwd>')
def test_a_literal_is_numbers(literal: bytes) -> None:
    harmless = b"x" * len(literal)

    def made(data: bytes) -> str:
        probe = bp.kprobe("vfs_read", filter=f"+0(buf) == {quoted(data)} || count == 1",
                          name=f"+0(buf) != {quoted(data)}")  # fmt: skip
        return c_text(probe)

    assert shape(made(literal)) == shape(made(harmless))


@settings(max_examples=60)
@given(st.text("abcdef\"'\\;/*#\n{}$%", min_size=1, max_size=40))
def test_a_prefix_glob_is_numbers(text: str) -> None:
    assume(not set(text) & set("*?[\\!"))

    def made(data: str) -> str:
        return c_text(bp.kprobe("vfs_read", filter=f"+0(buf) ~ {quoted(data.encode() + b'*')}"))

    assert shape(made(text)) == shape(made("y" * len(text)))


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=14).map(lambda data: data.replace(b"\0", b"\x01")))
@example(b'*[!"-;]\\*/')
def test_any_glob_makes_c_of_known_words(pattern: bytes) -> None:
    try:
        text = c_text(bp.kprobe("vfs_read", filter=f"+0(buf) ~ {quoted(pattern)}"))
    except SpecError as error:
        assert error.code == "TOO_MANY_OPS"  # noqa: PT017 - most patterns are taken
        return
    plain = set()
    for known in ("*[!a-c]x*", "plain", "plain*"):
        plain |= set(shape(c_text(bp.kprobe("vfs_read", filter=f'+0(buf) ~ "{known}"'))))
    strange = {token for token in shape(text) if token not in plain}
    assert all(
        re.fullmatch(r"(states|fits|none|length|text|value|fault)\d+|\W", t) for t in strange
    )


@pytest.mark.parametrize("hostile", HOSTILE)
def test_texts_of_all_kinds_stay_out(hostile: str) -> None:
    def made(data: bytes) -> list[str]:
        return [
            c_text(bp.kprobe("vfs_read", x=quoted(data), y=f"comm == {quoted(data[:15])}")),
            c_text(bp.kprobe("vfs_read", filter=f"comm ~ {quoted(data[:9])}")),
        ]

    for text, harmless in zip(made(hostile.encode()), made(b"x" * 15), strict=True):
        shape(text)
        no_piece(hostile, text, harmless)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_of_a_file_and_its_functions_stay_out(hostile: str) -> None:
    def made(path: str, **options: Any) -> Compilation:
        symbol = BinarySymbol("f", VirtualAddress(0x401100), FileOffset(0x1100), 64)
        target = machine(binaries={path: [symbol]})
        return compiled(bp.uprobe(path, offset=0x1110, x="func", **options), target=target)

    path = f"/tmp/{hostile}"
    text = made(path, event="ok").source.text
    shape(text)
    no_piece(hostile, text, made("/tmp/x", event="ok").source.text)
    assert text == made("/tmp/x", event="ok").source.text
    unnamed = made(path)
    shape(unnamed.source.text)
    assert all(re.fullmatch(r"p0\w*", program.name) for program in unnamed.source.programs)
    assert unnamed.plan.probes[0].site.path == path  # type: ignore[union-attr]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_name_is_no_name(hostile: str) -> None:
    for make in (
        lambda: bp.kprobe("vfs_read", event=hostile),
        lambda: bp.kprobe("vfs_read", captures={hostile: "pid"}),
        lambda: bp.kprobe(hostile),
        lambda: bp.tracepoint(hostile),
        lambda: bp.syscall(hostile),
    ):
        if hostile.isidentifier():
            continue
        with pytest.raises(SpecError):
            make()


@settings(max_examples=60)
@given(st.integers(-(1 << 63), (1 << 64) - 1), st.integers(-(1 << 63), (1 << 63) - 1))
def test_numbers_change_no_shape(number: int, offset: int) -> None:
    text = c_text(bp.kprobe("vfs_read", x=f"{offset:+d}(buf):u32", filter=f"count != {number}"))
    words = set(shape(text))
    assert not {word for word in words if word.isidentifier()} - set(
        shape(c_text(bp.kprobe("vfs_read", x="-4(buf):u32", filter="count != -1 && 1 << count")))
    )


def test_names_in_c_are_identifiers() -> None:
    probe = bp.kprobe("vfs_read", event="class", captures={"int": "pid", "return": "count"})
    text = c_text(probe)
    assert "f_int;" in text
    assert "f_return" in text
    assert all(re.fullmatch(r"\w+", name) for name in re.findall(r"\bf_([^\s;=\[,)]+)", text))
