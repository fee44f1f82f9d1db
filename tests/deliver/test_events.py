from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bpfprobe as bp
from bpfprobe.deliver.decode import Decoder
from bpfprobe.errors import DecodeError
from bpfprobe.model.layout import Field, FieldKind
from bpfprobe.model.object import COUNTERS
from bpfprobe.testing import pack_counters, pack_record
from tests.sample_machine import one_plan

if TYPE_CHECKING:
    from bpfprobe.model.layout import Layout

# What a capture may be, and values that it may have.
KINDS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "u8": ("$arg1:u8", st.integers(0, 255)),
    "s8": ("+0(%si):s8", st.integers(-128, 127)),
    "u16": ("$arg1:u16", st.integers(0, 65535)),
    "s32": ("+0(%si):s32", st.integers(-(1 << 31), (1 << 31) - 1)),
    "x64": ("$arg1", st.integers(0, (1 << 64) - 1)),
    "s64": ("+0(%si):s64", st.integers(-(1 << 63), (1 << 63) - 1)),
    "f64": ("+0(%si):f64", st.floats(allow_nan=False)),
    "f32": ("+0(%si):f32", st.floats(allow_nan=False, width=32)),
    "floats": ("+0(%si):f64[3]", st.tuples(*[st.floats(allow_nan=False)] * 3)),
    "bool": ("+0(%si):bool", st.booleans()),
    "char": ("$arg1:char", st.characters(max_codepoint=255)),
    "array": ("+0(%si):s16[5]", st.tuples(*[st.integers(-32768, 32767)] * 5)),
    "bytes": ("+0(%si):u8[3]", st.tuples(*[st.integers(0, 255)] * 3)),
    "name": ("comm", st.binary(max_size=15)),
    "text": ("+0(%si):string", st.binary(max_size=60)),
    "more": ("$arg2:ustring", st.binary(max_size=60)),
    "data": ("$arg2:bytes[$arg3]", st.binary(max_size=60)),
    "argv": ("argv", st.lists(st.binary(max_size=10), max_size=6)),
    "stack": ("ustack", st.lists(st.integers(0, (1 << 64) - 1), max_size=127)),
    "bits": ("+0(%si):b3@4/8[2]", st.tuples(*[st.integers(0, 7)] * 2)),
    "symbol": ("$arg1:symbol", st.integers(0, (1 << 64) - 1)),
    "symstr": ("$arg1:symstr", st.integers(0, (1 << 64) - 1)),
    "texts": ("+0(%si):ustring[3]", st.tuples(*[st.binary(max_size=21)] * 3)),
    "func": ("func", st.just("untyped")),
}


TEXT_KINDS = (FieldKind.STRING, FieldKind.CONSTANT)


def as_text(data: bytes) -> str:
    return data.replace(b"\0", b"~").decode("utf-8", "surrogateescape")


def layout_of(names: list[str], *, comm: bool = True) -> Layout:
    captures = {f"c{n}": KINDS[name][0] for n, name in enumerate(names)}
    probe = bp.kprobe("untyped", captures=captures, comm=comm, string_bytes=64)
    return one_plan(probe).layout


def wanted(kind: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value if kind == "data" else as_text(value)
    if kind == "stack":
        return tuple(value)
    return tuple(as_text(part) for part in value) if kind in ("argv", "texts") else value


@settings(max_examples=150)
@given(st.data(), st.lists(st.sampled_from(sorted(KINDS)), max_size=40), st.booleans())
def test_what_is_packed_is_what_is_decoded(
    data: st.DataObject, names: list[str], comm: bool
) -> None:
    layout = layout_of(names, comm=comm)
    values: dict[str, Any] = {"time": 1 << 60, "pid": 7, "tid": 8, "cpu": 9}
    if comm:
        values["comm"] = as_text(data.draw(KINDS["name"][1]))
    faults, cut = set(), set()
    for n, name in enumerate(names):
        key, value = f"c{n}", wanted(name, data.draw(KINDS[name][1]))
        if layout.field(key).mark >= 0:
            if data.draw(st.booleans()):
                value = None
                faults.add(key)
            elif data.draw(st.booleans()):
                cut.add(key)
        values[key] = value
    record = pack_record(layout, probe=3, truncated=cut, **values)
    decoder = Decoder([layout] * 4)
    event = decoder.event(record)
    assert type(event) is decoder.types[3]
    for n, name in enumerate(names):
        if name == "symstr":
            values[f"c{n}"] = hex(values[f"c{n}"])  # here no address has a symbol
    assert event.asdict() == values
    assert dict(zip(event.names(), event, strict=True)) == values
    assert (event.faults, event.truncated) == (faults, cut)
    assert event == decoder.event(record)
    assert hash(event) == hash(decoder.event(record))
    assert decoder.event(record + bytes(7)).asdict() == values, (
        "trailing bytes are no part of a record"
    )
    assert eval(repr(event), {layout.name: dict, "inf": math.inf}) == values
    for key, value in values.items():
        raw = event.raw(key)
        assert (raw is None) == (value is None)
        if isinstance(value, str) and layout.field(key).kind in (*TEXT_KINDS, FieldKind.COMM):
            assert raw == value.encode("utf-8", "surrogateescape")
    for short in (0, 1, layout.head_size - 1):
        with pytest.raises(DecodeError):
            decoder.event(record[:short])


LAYOUT = layout_of(["text", "s32", "argv", "func", "bool", "char", "f32"])
DECODER = Decoder([LAYOUT])


def event(**values: Any) -> bp.Event:
    return DECODER.event(pack_record(LAYOUT, **values))


def test_an_event_cannot_be_changed() -> None:
    one = event(c0="a", c1=1)
    for name in ("c0", "pid", "new", "probe"):
        with pytest.raises(AttributeError):
            setattr(one, name, 1)
        with pytest.raises(AttributeError):
            delattr(one, name)
    assert one.c1 == 1


def test_equality_and_copies() -> None:
    one, two = event(c0="a", c1=1), event(c0="b", c1=1)
    assert one == event(c0="a", c1=1)
    assert one != two
    assert len({one, two, event(c0="a", c1=1)}) == 2
    assert copy.copy(one) == copy.deepcopy(one) == one
    assert copy.copy(one).c0 == "a"


def test_bytes_that_are_no_text_come_back() -> None:
    every = bytes(range(1, 256))
    for part in (every[:60], every[60:120], every[120:180], every[180:240], every[240:], b"\xd0"):
        one = event(c0=part, comm=part[:15])
        assert one.raw("c0") == one.c0.encode("utf-8", "surrogateescape") == part
        assert one.raw("comm") == part[:15]
        repr(one)


def test_what_a_probe_is_called_and_has() -> None:
    one = event(c0="x")
    assert (one.probe, type(one).__name__, one.c3) == ("untyped", "untyped", "untyped")
    assert one.names() == (
        "time",
        "pid",
        "tid",
        "cpu",
        "comm",
        "c0",
        "c1",
        "c2",
        "c3",
        "c4",
        "c5",
        "c6",
    )
    assert one.raw("c3") == b"untyped"
    assert one.raw("pid") == bytes(4)
    assert event(c2=["a", "", "b"]).raw("c2") == b"a\0\0b\0"
    assert event(c2=[]).c2 == ()
    assert event(c2=[""]).c2 == ("",)
    with pytest.raises(KeyError):
        one.raw("nothing")
    with pytest.raises(AttributeError):
        _ = one.nothing
    assert not hasattr(Decoder([layout_of([], comm=False)]).types[0], "nothing")


def test_what_tuples_have_methods_for_is_a_field_where_it_is_captured() -> None:
    layout = one_plan(bp.kprobe("untyped", count="$arg1:u32", index="+0(%si):u8")).layout
    one = Decoder([layout]).event(pack_record(layout, count=23, index=7))
    assert (one.count, one.index) == (23, 7)
    with pytest.raises(AttributeError, match="untyped have no such field: time, pid, tid, cpu"):
        _ = Decoder([layout_of([])]).event(pack_record(layout_of([]))).count


def test_an_array_is_signed_as_its_elements_are() -> None:
    layout = layout_of(["array", "bytes"])
    one = Decoder([layout]).event(pack_record(layout, c0=(-1, 2, -3, 4, -5), c1=(255, 0, 1)))
    assert one.c0 == (-1, 2, -3, 4, -5)
    assert one.c1 == (255, 0, 1)


def test_a_string_that_reaches_beyond_its_record() -> None:
    record = pack_record(LAYOUT, c0="abcdef", c1=1)
    one = DECODER.event(record[:-3])
    assert one.c1 == 1
    with pytest.raises(DecodeError, match="c0 reaches beyond its record"):
        _ = one.c0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nothing": 1}, "has no field nothing"),
        ({"truncated": ["nothing"]}, "has no field nothing"),
        ({"truncated": ["pid"]}, "pid cannot be truncated"),
        ({"pid": None}, "pid cannot be a fault"),
        ({"pid": -1}, "pid has 4 bytes"),
        ({"c1": 1 << 31}, "c1 has 4 bytes"),
        ({"c1": "a"}, "c1 is a number"),
        ({"c0": "a\0"}, "c0 is text without a NUL"),
        ({"c0": 1}, "c0 is text"),
        ({"c0": "a" * 65}, "c0 takes 65 bytes"),
        ({"comm": "a" * 16}, "comm has 16 bytes"),
        ({"c6": "a"}, "c6 is a float"),
        ({"c2": "a"}, "c2 is a sequence"),
        ({"c3": "other"}, "c3 is always 'untyped'"),
    ],
)
def test_what_cannot_be_packed(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack_record(LAYOUT, **values)


def test_an_array_of_another_length_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="c0 has 5 elements, not 2"):
        pack_record(layout_of(["array"]), c0=[1, 2])


def test_counters() -> None:
    rest = bytes(8 * len(COUNTERS) - 9)
    assert pack_counters(lost=2) == bytes(8) + b"\x02" + rest
    with pytest.raises(ValueError, match="no counter other"):
        pack_counters(other=1)


def test_kinds_cover_every_kind_of_field() -> None:
    layout = layout_of(sorted(KINDS))
    of_glob = {FieldKind.NAME}  # tests/plan/test_globs.py
    assert {field.kind for field in layout.fields} | of_glob == set(FieldKind)
    assert isinstance(layout.fields[0], Field)


@pytest.mark.parametrize("shift", [-4, 64])
def test_a_layout_that_contradicts_itself(shift: int) -> None:
    fields = tuple(
        replace(field, offset=field.offset + shift) if field.name == "c0" else field
        for field in layout_of(["u8", "x64"]).fields
    )
    with pytest.raises(DecodeError, match="take") as caught:
        Decoder([replace(layout_of(["u8", "x64"]), fields=fields)])
    assert caught.value.code == "LAYOUT"
