"""Texts and globs as numbers: against the kernel's glob_match(), and against ==."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bpfprobe as bp
from bpfprobe.model.glob import MAX_TOKENS, is_prefix_glob, parse_glob
from bpfprobe.model.value import CommText, Constant, Space, TextAt, TextEquals, TextMatches
from bpfprobe.plan.patterns import glob_bytes, masked_bytes, room_of
from tests.sample_machine import c_text

WORD = (1 << 64) - 1


def glob_match(pattern: bytes, text: bytes) -> bool:
    """The rules of lib/glob.c by trying every way; a pattern ends with its NUL."""

    def match(p: int, t: int) -> bool:
        if p == len(pattern):
            return t == len(text)
        head = pattern[p]
        if head == ord("*"):
            return any(match(p + 1, rest) for rest in range(t, len(text) + 1))
        if head == ord("?"):
            return t < len(text) and match(p + 1, t + 1)
        if head == ord("["):
            parsed = char_class(p + 1)
            if parsed is not None:
                accepts, after = parsed
                return t < len(text) and accepts(text[t]) and match(after, t + 1)
        if head == ord("\\"):
            p += 1
            if p == len(pattern):
                return t == len(text)
            head = pattern[p]
        return t < len(text) and text[t] == head and match(p + 1, t + 1)

    def char_class(p: int):  # type: ignore[no-untyped-def]
        inverted = pattern[p : p + 1] == b"!"
        p += inverted
        spans: list[tuple[int, int]] = []
        while True:
            if p >= len(pattern):
                return None
            low = high = pattern[p]
            p += 1
            if pattern[p : p + 1] == b"-" and pattern[p + 1 : p + 2] != b"]":
                if p + 1 >= len(pattern):
                    return None
                high = pattern[p + 1]
                p += 2
            spans.append((low, high))
            if p < len(pattern) and pattern[p] == ord("]"):
                return (
                    lambda c: any(a <= c <= b for a, b in spans) != inverted,
                    p + 1,
                )

    return match(0, 0)


def by_table(pattern: bytes, text: bytes) -> bool:
    """What the printed loop does, with the numbers that it is handed."""
    start, stars, *table = struct.unpack("<258Q", glob_bytes(pattern))
    states = start
    for byte in text + b"\0":
        hit = states & table[byte]
        states = (hit << 1) | (hit & stars)
        states |= (states & stars) << 1
        assert states <= WORD
        if states == 0 or states >> 63:
            break
    assert states in (0, 1 << 63)
    return states != 0


PATTERN = st.text("ab*?[]!-\\c", max_size=12).map(str.encode)
TEXT = st.text("abc-]![\\*", max_size=12).map(str.encode)


@settings(max_examples=1500)
@given(PATTERN, TEXT)
@example(b"*", b"")
@example(b"", b"")
@example(b"a\\", b"a")
@example(b"[", b"[")
@example(b"[a-", b"[a-")
@example(b"[]a]", b"]")
@example(b"[!]a]b", b"]b")
@example(b"[b-a]", b"a")
@example(b"a*b*c", b"aXbXbXc".lower())
@example(b"\\*", b"*")
@example(b"***a", b"bba")
def test_like_the_kernel(pattern: bytes, text: bytes) -> None:
    assert by_table(pattern, text) == glob_match(pattern, text)


@settings(max_examples=300)
@given(st.binary(max_size=6).map(lambda b: b.replace(b"\0", b"\xff")),
       st.binary(max_size=6).map(lambda b: b.replace(b"\0", b"\xff")))  # fmt: skip
def test_like_the_kernel_for_all_bytes(pattern: bytes, text: bytes) -> None:
    assert by_table(pattern, text) == glob_match(pattern, text)


@pytest.mark.parametrize("pattern", [b"[a-z]" * 62, b"*" + b"x" * 61, b"*a" * 31])
def test_as_many_steps_as_there_may_be(pattern: bytes) -> None:
    assert len(parse_glob(pattern)) == MAX_TOKENS
    text = pattern.replace(b"[a-z]", b"q")
    assert by_table(pattern, text)
    assert not by_table(pattern, text[:-1])
    assert not by_table(pattern, text + b"!")


@pytest.mark.parametrize(
    ("pattern", "is_prefix"),
    [(b"abc*", True), (b"abc", True), (b"*", True), (b"", True), (b"a*c", False), (b"a?", False),
     (b"[a]", False), (b"a\\b", False), (b"**", False)],
)  # fmt: skip
def test_prefix_globs_need_no_loop(pattern: bytes, is_prefix: bool) -> None:
    assert is_prefix_glob(pattern) is is_prefix
    text = pattern.decode().replace("\\", "\\\\")
    c = c_text(bp.kprobe("vfs_read", filter=f'+0(buf) ~ "{text}"'))
    assert ("for (u64 i" in c) is not is_prefix


ASKED = [b"", b"a", b"/tmp/x", b"seventy" * 10, b"y" * 255]


def seen(asked: TextEquals | TextMatches, memory: bytes) -> bool:
    """What a program finds: it reads as much as there is room for, cut by a NUL."""
    room = room_of(asked)
    assert room % 8 == 0
    read = (memory + b"\0")[: room - 1] + b"\0"
    found = read.ljust(room, b"\xee")  # what stood there before
    block = masked_bytes(asked, room)
    pairs = struct.iter_unpack("<QQ", block)
    words = struct.unpack(f"<{room // 8}Q", found)
    return all(word & mask == wanted for word, (mask, wanted) in zip(words, pairs, strict=True))


@pytest.mark.parametrize("text", [TextAt(Constant(0), Space.USER), CommText()])
@pytest.mark.parametrize("literal", ASKED)
def test_only_the_very_text_is_equal(literal: bytes, text: TextAt | CommText) -> None:
    longest = 15 if isinstance(text, CommText) else 4096
    if len(literal) > longest:
        return
    equals = TextEquals(text, literal)
    for other in {*ASKED, literal + b"z", literal + b"z" * 300, literal[:-1], literal[:-1] + b"!"}:
        assert seen(equals, other[:longest]) == (other[:longest] == literal)


@pytest.mark.parametrize("text", [TextAt(Constant(0), Space.USER), CommText()])
@pytest.mark.parametrize("literal", ASKED)
def test_a_beginning_is_what_a_text_begins_with(literal: bytes, text: TextAt | CommText) -> None:
    longest = 15 if isinstance(text, CommText) else 4096
    matches = TextMatches(text, literal + b"*")
    for other in {*ASKED, literal + b"z", literal + b"z" * 300, literal[:-1], literal[:-1] + b"!"}:
        assert seen(matches, other[:longest]) == other[:longest].startswith(literal)


def test_texts_of_about_the_same_length_take_the_same_room() -> None:
    text = TextAt(Constant(0), Space.USER)
    rooms = [room_of(TextEquals(text, b"x" * size)) for size in range(256)]
    assert [rooms[size] for size in (0, 6, 7, 14, 15, 62, 63, 94, 255)] == [
        8, 8, 16, 16, 24, 64, 96, 96, 288,
    ]  # fmt: skip
    assert rooms == sorted(rooms)
    assert {room_of(TextEquals(CommText(), b"x" * size)) for size in range(16)} == {16}
    bounded = TextAt(Constant(0), Space.KERNEL, 12)
    assert room_of(TextMatches(bounded, b"x" * 40 + b"*")) == 16
    assert room_of(TextMatches(bounded, b"*x")) == 16
