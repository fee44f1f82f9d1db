"""Filters that cannot be read, in the kernel's words."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfprobe.errors import SpecError
from bpfprobe.model import expression as ast
from bpfprobe.model.span import SourceText
from bpfprobe.parse.filter import parse_filter


@pytest.mark.parametrize("text", ["0", " 0 ", "0\n"])
def test_zero_takes_the_filter_away(text: str) -> None:
    assert parse_filter(SourceText(text)) is None


@pytest.mark.parametrize("text", ["00", "(0)", "!0", "0 == 0"])
def test_zero_in_anything_else_is_a_number(text: str) -> None:
    assert parse_filter(SourceText(text)) is not None


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "NO_FILTER", ""),
        ("  ", "NO_FILTER", "  "),
        ("!", "NO_FILTER", ""),
        ("pid = 1", "INVALID_OP", "="),
        ("pid =! 1", "INVALID_OP", "="),
        ("pid !~ 'x'", "INVALID_OP", "!"),
        ("pid 1", "INVALID_OP", "1"),
        ("a == 1 && pid = 1", "INVALID_OP", "="),
        ("!(a == 1 && !b) || pid == 1 2", "INVALID_OP", "2"),
        ("pid == 1 2", "TOO_MANY_PREDS", "2"),
        ("pid == 1 & & b == 2", "TOO_MANY_PREDS", "&"),
        ("a == 1 == 2", "TOO_MANY_PREDS", "=="),
        ("comm == 'x' comm", "TOO_MANY_PREDS", "comm"),
        ("(a == 1)(b == 2)", "TOO_MANY_PREDS", "("),
        ("pid ==", "INVALID_VALUE", ""),
        ("pid == ;", "INVALID_VALUE", ";"),
        ("pid == +5", "INVALID_VALUE", "+"),
        ("pid == &x", "INVALID_VALUE", "&"),
        ("pid == 08", "ILLEGAL_INTVAL", "08"),
        ("pid == 12ab", "ILLEGAL_INTVAL", "12ab"),
        ("pid == 0x", "ILLEGAL_INTVAL", "0x"),
        ("pid == 18446744073709551616", "ILLEGAL_INTVAL", "18446744073709551616"),
        ("pid == -", "ILLEGAL_INTVAL", ""),
        (f"pid == {'1' * 24}", "OPERAND_TOO_LONG", "1" * 24),
        ("(pid == 1", "TOO_MANY_OPEN", "("),
        ("(pid == 1 && (a == 2)", "TOO_MANY_OPEN", "("),
        ("pid = 1 && (", "TOO_MANY_OPEN", "("),
        ("pid == 1)", "TOO_MANY_CLOSE", ")"),
        (")(", "TOO_MANY_CLOSE", ")"),
        ("comm == 'sh", "MISSING_QUOTE", "'sh"),
        ("comm == \"sh' && (x", "MISSING_QUOTE", "\"sh' && (x"),
        ('comm == "sh\\"', "MISSING_QUOTE", '"sh\\"'),
        ("cpu & CPUS{0-3", "MISSING_BRACE_CLOSE", "CPUS{0-3"),
        ("cpu & CPUS 0", "MISSING_BRACE_OPEN", "0"),
        # no filter of the kernel's either, but for it without a name
        ("() == 1", "BAD_FETCH_ARG", ")"),
        ("&& a == 1", "BAD_FETCH_ARG", "&&"),
        # what only ours has keeps its own words
        ("file->1 == 2", "NO_BTF_FIELD", "1"),
        ("% == 1", "BAD_REG_NAME", "%"),
    ],
)
def test_mistakes_have_the_name_that_the_kernel_has(text: str, code: str, place: str) -> None:
    source = SourceText(f"p f if {text}")
    with pytest.raises(SpecError) as caught:
        parse_filter(source, 7)
    (wrong,) = caught.value.diagnostics
    assert (wrong.code, wrong.span and wrong.span.text) == (code, place)


def test_the_bracket_that_is_not_closed_is_the_last_of_them() -> None:
    with pytest.raises(SpecError) as caught:
        parse_filter(SourceText("(a == 1 && (b == 2 && (c == 3)"))
    (wrong,) = caught.value.diagnostics
    assert wrong.span is not None
    assert wrong.span.start == 11


def test_a_character_may_be_text() -> None:
    found = parse_filter(SourceText("comm == 'x'"))
    assert isinstance(found, ast.Binary)
    assert isinstance(found.right, ast.Number)
    assert (found.right.value, found.right.is_character) == (ord("x"), True)


def test_text_behind_the_filter_is_not_its() -> None:
    source = SourceText("pid == 1 (")
    assert parse_filter(source, 0, 8) is not None


WORDS = st.sampled_from(
    [
        *("a8", "comm", ".ustring", ".function", "==", "!", "~", "&", "&&", "||", "(", ")"),
        *("'", '"', "CPUS{", "}", "0x", "08", "-1", " ", "\\", "*", "é", "\0"),
    ]
)


@given(st.text() | st.lists(WORDS).map("".join))
def test_any_text_is_a_filter_or_says_why_not(text: str) -> None:
    with contextlib.suppress(SpecError):
        parse_filter(SourceText(text))
