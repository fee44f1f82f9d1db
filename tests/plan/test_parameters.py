"""What may change between runs does not change the C."""

from __future__ import annotations

import itertools
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.model import expression as ast
from bpfprobe.model.parameters import ParameterBlock, ParameterSlot, number_bytes
from tests.render.corpus import EVERYTHING
from tests.sample_machine import (
    FACTS,
    as_spec,
    c_text,
    compiled,
    complaint,
    machine,
    one_plan,
    planned,
)

if TYPE_CHECKING:
    from collections.abc import Callable

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
FILTERED = [spec for spec in map(as_spec, EVERYTHING) if spec.filter is not None]


def varied(node: Any, number: Callable[[], int], byte: Callable[[], int]) -> Any:
    """The expression with other numbers and texts where a filter compares with them."""
    if isinstance(node, ast.Binary) and node.operator in COMPARISONS:
        sides = [node.left, node.right]
        for at, side in enumerate(sides):
            if isinstance(side, ast.Number):
                sides[at] = replace(side, value=number())
            elif isinstance(side, ast.Text) and "func" not in str(node.span.text):
                sides[at] = replace(side, value=bytes(byte() for _ in side.value))
            else:
                sides[at] = varied(side, number, byte)
        return replace(node, left=sides[0], right=sides[1])
    if isinstance(node, ast.Binary) and node.operator == "~" and isinstance(node.right, ast.Text):
        pattern = bytes(byte() if chr(b).isalnum() else b for b in node.right.value)
        return replace(node, right=replace(node.right, value=pattern))
    if not is_dataclass(node) or isinstance(node, type):
        return node
    inner = {f.name: getattr(node, f.name) for f in fields(node) if f.name in ("left", "right")}
    inner |= {f.name: getattr(node, f.name) for f in fields(node) if f.name == "operand"}
    return replace(node, **{name: varied(part, number, byte) for name, part in inner.items()})


@settings(max_examples=60)
@given(st.data())
def test_numbers_and_texts_of_filters_are_not_in_the_code(data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from(FILTERED))
    other = replace(
        spec,
        filter=varied(
            spec.filter,
            # what every type can hold; the sign and the ends of each are tested by themselves
            lambda: data.draw(st.integers(1, 127)),
            lambda: data.draw(st.sampled_from(b"qwe%\xff\x01 7")),
        ),
    )
    assert c_text(other) == c_text(spec)


@settings(max_examples=40)
@given(*[st.integers(0, (1 << 32) - 1)] * 4)
def test_options_are_not_in_the_code(pid: int, tid: int, uid: int, not_pid: int) -> None:
    text = "r:back vfs_read if retval > 4 && pid == 9"
    made = compiled(text, pid=pid, tid=tid, uid=uid, not_pid=not_pid)
    assert made.source.text == c_text(text, pid=1, tid=2, uid=3, not_pid=4)
    image = made.plan.parameters.image()
    found = {
        name: int.from_bytes(image[at : at + 8], "little")
        for name, at in made.wiring.option_offsets
    }
    assert found == {"pid": pid, "tid": tid, "uid": uid, "not_pid": not_pid}
    assert made.wiring.maps[made.wiring.parameter_map].initial == image


@pytest.mark.parametrize(
    ("value", "bits"), [("(s64)count", 64), ("(s8)count", 8), ("*(s32 *)buf", 32)]
)
def test_the_sign_of_a_number_is_not_in_the_code(value: str, bits: int) -> None:
    numbers = (-1, 0, -(1 << bits - 1), (1 << bits - 1) - 1)
    for operator, number in itertools.product(COMPARISONS, numbers):
        text = c_text(f"p vfs_read if {value} {operator} {number}")
        assert text == c_text(f"p vfs_read if {value} {operator} 7")
        assert "(s64)" in text[text.index("int p0") :]


def test_what_stays_in_the_code() -> None:
    def code(text: str) -> str:
        return c_text(f"p vfs_read if {text}")

    assert code("(count & 3) == 1") == code("(count & 3) == 2") != code("(count & 7) == 1")
    assert code('func == "vfs_read"') != code('func == "vfs_write"')
    assert code("count == 1") != code("count != 1")
    assert code('comm == "x"') != code('comm != "x"')
    assert planned("p vfs_read count").parameters.slots == ()
    kept = "r vfs_read if entry(count > {}) && retval < 0"
    assert c_text(kept.format(1)) != c_text(kept.format(2))


def test_a_text_in_a_capture_is_handed_in_as_well() -> None:
    text = 'p vfs_read is_sh=comm=="sh" long=+0(buf)~"*{}*"'
    assert c_text(text.format("aa")) == c_text(text.format("b"))
    assert one_plan(text).filter_text_bytes == 1024


def test_text_that_entry_compares_has_no_memory_but_the_stack() -> None:
    most = "x" * 62
    assert planned(f'r vfs_read if entry(+0(buf) == "{most}")')
    for text in (f'+0(buf) == "x{most}"', '+0(buf) ~ "*x"'):
        wrong = complaint(f"r vfs_read if entry({text})")
        assert wrong.code == "OPERAND_TOO_LONG"
        assert wrong.hint


def test_a_single_number_is_written_at_once() -> None:
    block = ParameterBlock((ParameterSlot(16, number_bytes(7), "pid"),), wake_bytes=99)
    assert block.bank_bytes == 0
    assert block.image() == bytes(8) + number_bytes(99) + number_bytes(7) + number_bytes(0)
    assert block.writes(0) == (((16, number_bytes(7)),), 0)


def test_more_is_written_aside_and_then_put_in_force() -> None:
    one = ParameterBlock((ParameterSlot(16, number_bytes(7)), ParameterSlot(24, b"x" * 16)))
    two = ParameterBlock((ParameterSlot(16, number_bytes(-1)), ParameterSlot(24, b"y" * 16)))
    assert one.bank_bytes == 32
    image = bytearray(one.image())
    assert len(image) == one.value_bytes == 88
    index = 0
    for block in (two, one, two):
        (aside, flip), after = block.writes(index)
        before = bytes(image[16 + index : 16 + index + 24])
        for offset, data in (aside, flip):
            assert offset % 8 == 0
            image[offset : offset + len(data)] = data
            if offset:
                assert bytes(image[16 + index : 16 + index + 24]) == before
        assert int.from_bytes(image[:8], "little") == after != index
        assert image[16 + after : 16 + after + 24] == b"".join(slot.data for slot in block.slots)
        index = after


@pytest.mark.parametrize("count", [1, 2, 60])
def test_slots_have_no_gaps(count: int) -> None:
    texts = " || ".join(f'comm == "{n}" && +0(buf) ~ "*{n}" && pid == {n}' for n in range(count))
    try:
        block = planned(bp.kprobe("vfs_read", filter=texts), uid=3).parameters
    except SpecError as error:
        assert (count, error.code) == (60, "TOO_MANY_OPS")  # noqa: PT017 - as many as that are refused
        return
    at = 16
    for slot in block.slots:
        assert slot.offset == at
        at += len(slot.data)
    assert at <= 16 + block.bank_bytes


@pytest.mark.parametrize(
    ("probes", "cpus", "buffer_bytes", "each"),
    [(1, 2, 4 << 20, 1 << 19), (2, 2, 4 << 20, 1 << 18), (1, 4, 1, 256), (100, 64, 4 << 20, 1024)],
)
def test_programs_share_what_may_be_sent_without_waking_the_reader(
    probes: int, cpus: int, buffer_bytes: int, each: int
) -> None:
    target = machine(replace(FACTS, cpus=cpus))
    made = compiled(*["p vfs_read"] * probes, target=target, buffer_bytes=buffer_bytes)
    assert made.plan.parameters.wake_bytes == each
    assert made.plan.parameters.image()[8:16] == number_bytes(each)
    assert made.source.text == c_text(*["p vfs_read"] * probes), "the code is of no number of CPUs"
