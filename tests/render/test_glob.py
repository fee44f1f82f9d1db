"""The glob matcher, as it is printed, against the kernel's glob_match()."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bpfprobe as bp
from bpfprobe.model.glob import distinct_sets, is_prefix_glob, parse_glob
from bpfprobe.render.cstring import _byte_tests
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


def bit_parallel(pattern: bytes, text: bytes) -> bool:
    """What the printed loop does, with the tests as they are printed."""
    tokens = parse_glob(pattern)
    tests = [(re.sub(r"\bbyte\b", "(byte)", test), mask) for test, mask in _byte_tests(tokens)]
    stars = sum(1 << n for n, token in enumerate(tokens) if token.is_star)
    states = 1 | ((1 & stars) << 1)
    for byte in text:
        accepted = 0
        for test, mask in tests:
            accepted |= unsigned(test, byte) * mask
        states = ((states & accepted) << 1) | (states & stars)
        states |= (states & stars) << 1
        states &= WORD
    return states >> len(tokens) & 1 == 1


class Unsigned(int):
    """A u64 of C."""

    def _wrap(self, value: int) -> Unsigned:
        return Unsigned(value & WORD)

    def __add__(self, other: int) -> Unsigned:
        return self._wrap(int(self) + int(other))

    def __sub__(self, other: int) -> Unsigned:
        return self._wrap(int(self) - int(other))

    def __rsub__(self, other: int) -> Unsigned:
        return self._wrap(int(other) - int(self))

    def __or__(self, other: int) -> Unsigned:
        return self._wrap(int(self) | int(other))

    def __xor__(self, other: int) -> Unsigned:
        return self._wrap(int(self) ^ int(other))

    def __rshift__(self, other: int) -> Unsigned:
        return self._wrap(int(self) >> int(other))


def unsigned(test: str, byte: int) -> int:
    """Evaluate a printed test: its operators mean in Python what they mean in C, in 64 bits."""
    assert re.fullmatch(r"[\d\s()|^>\-]*", test.replace("byte", ""))
    result = int(eval(test, {"byte": Unsigned(byte)}))
    assert result in (0, 1)
    return result


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
    assert bit_parallel(pattern, text) == glob_match(pattern, text)


@settings(max_examples=300)
@given(st.binary(max_size=6).map(lambda b: b.replace(b"\0", b"\xff")),
       st.binary(max_size=6).map(lambda b: b.replace(b"\0", b"\xff")))  # fmt: skip
def test_like_the_kernel_for_all_bytes(pattern: bytes, text: bytes) -> None:
    assert bit_parallel(pattern, text) == glob_match(pattern, text)


@pytest.mark.parametrize("byte", [1, 2, 96, 97, 98, 127, 128, 254, 255])
def test_a_set_of_bytes(byte: int) -> None:
    for pattern in (b"a", b"[a-z]", b"[!a-z]", b"?", b"\xff", b"[\x80-\xff]", b"[!b]", b"[ab\x01]"):
        (token,) = parse_glob(pattern)
        ((test, mask),) = _byte_tests((token,))
        assert mask == 1
        assert bool(unsigned(test, byte)) == token.accepts(byte)


def test_steps_that_take_the_same_bytes_are_tested_once() -> None:
    tokens = parse_glob(b"*abcabc[a-c][a-c]")
    assert len(distinct_sets(tokens)) == 4
    assert sum(mask for _, mask in distinct_sets(tokens)) == (1 << 9) - 2


@pytest.mark.parametrize(
    ("pattern", "is_prefix"),
    [(b"abc*", True), (b"abc", True), (b"*", True), (b"", True), (b"a*c", False), (b"a?", False),
     (b"[a]", False), (b"a\\b", False), (b"**", False)],
)  # fmt: skip
def test_prefix_globs_need_no_loop(pattern: bytes, is_prefix: bool) -> None:
    assert is_prefix_glob(pattern) is is_prefix
    text = pattern.decode().replace("\\", "\\\\")
    c = c_text(bp.kprobe("vfs_read", filter=f'+0(buf) ~ "{text}"'))
    assert ("for (u32 i" in c) is not is_prefix
