from __future__ import annotations

from itertools import pairwise

import pytest

import bpfprobe as bp
from bpfprobe.model.layout import MARKS_PER_WORD, FieldKind, Layout
from bpfprobe.model.plan import Memory
from bpfprobe.plan.layouts import MAX_RECORD_BYTES
from tests.sample_machine import complaint, machine, one_plan, planned


def layout(probe: str | bp.Probe) -> Layout:
    return one_plan(probe).layout


def at(found: Layout, name: str) -> tuple[int, int]:
    field = found.field(name)
    return field.offset, field.size


def test_the_head_of_every_record() -> None:
    found = layout("p untyped")
    assert [(f.name, f.offset, f.size) for f in found.fields] == [
        ("probe", 0, 2), ("time", 16, 8), ("pid", 12, 4), ("tid", 8, 4), ("cpu", 2, 2),
        ("comm", 24, 16),
    ]  # fmt: skip
    assert (found.head_size, found.tail_size, found.mark_offsets) == (40, 0, (4,))
    without = layout(bp.kprobe("untyped", comm=False))
    assert without.head_size == 24
    assert "comm" not in [field.name for field in without.fields]


def test_fields_are_aligned_and_keep_the_order_of_the_captures() -> None:
    found = layout("p untyped a=$arg1:u8 b=$arg2:u64 c=$arg3:u16 d=$arg4:u32 e=+0($arg5):u16[3]")
    assert [field.name for field in found.fields][6:] == ["a", "b", "c", "d", "e"]
    assert [at(found, name) for name in "bdcea"] == [(40, 8), (48, 4), (52, 2), (54, 6), (60, 1)]
    assert found.head_size == 64


@pytest.mark.parametrize("comm", [True, False])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 33, 100])
def test_marks_take_a_word_for_each_16_captures_that_can_fail(count: int, comm: bool) -> None:
    texts = {f"c{n}": f"+{n}(%si):u{8 << n % 4}" for n in range(count)} | {"safe": "$arg1"}
    found = layout(bp.kprobe("untyped", comm=comm, captures=texts))
    words = max(1, -(-count // MARKS_PER_WORD))
    assert len(found.mark_offsets) == words
    assert [found.field(f"c{n}").mark for n in range(count)] == list(range(count))
    assert found.field("safe").mark == -1
    taken = [(f.offset, f.offset + f.size) for f in found.fields]
    taken += [(offset, offset + 4) for offset in found.mark_offsets]
    taken.sort()
    assert all(end <= start for (_, end), (start, _) in pairwise(taken))
    assert taken[-1][1] <= found.head_size
    assert all(f.offset % (f.size // f.count) == 0 for f in found.fields if f.name != "comm")
    assert found.head_size % 8 == 0


@pytest.mark.parametrize(
    ("text", "kind", "size", "capacity"),
    [
        ("x=$arg1", FieldKind.INTEGER, 8, 0),
        ("x=$arg1:bool", FieldKind.BOOLEAN, 1, 0),
        ("x=$arg1:char", FieldKind.CHARACTER, 1, 0),
        ("x=comm", FieldKind.COMM, 16, 0),
        ("x=func", FieldKind.CONSTANT, 0, 0),
        ("x=+0($arg1):s32[4]", FieldKind.ARRAY, 16, 0),
        ("x=$arg1:string", FieldKind.STRING, 4, 4096),
        ("x=$current->comm", FieldKind.STRING, 4, 17),
        ("x=$arg1:bytes[$arg2]", FieldKind.BYTES, 4, 4096),
        ("x=argv", FieldKind.STRINGS, 4, 16384),
        ("x=pid == 4", FieldKind.INTEGER, 1, 0),
    ],
)
def test_shapes(text: str, kind: FieldKind, size: int, capacity: int) -> None:
    field = layout(bp.kprobe("untyped", x=text.removeprefix("x="))).field("x")
    assert (field.kind, field.size, field.capacity) == (kind, size, capacity)


def test_the_tail_holds_all_strings_at_their_longest() -> None:
    probe = bp.kprobe("untyped", a="$arg1:string", b="$arg2:ustring", string_bytes=100)
    assert layout(probe).tail_size == 200
    probe = bp.kprobe("untyped", a="argv", b="$current->comm", string_bytes=100)
    assert layout(probe).tail_size == 417
    assert layout(probe).slack_size == 100


def test_an_event_that_is_too_big() -> None:
    texts = {f"c{n}": "$arg1:string" for n in range(8)}
    wrong = complaint(bp.kprobe("untyped", captures=texts))
    assert wrong.code == "EVENT_TOO_BIG"
    assert str(MAX_RECORD_BYTES) in wrong.message
    assert "string_bytes" in (wrong.hint or "")
    # the record would do, but not what it is put together in
    texts = {"a": "argv", "b": "$arg1:string"}
    wrong = complaint(bp.kprobe("untyped", captures=texts, string_bytes=13000, comm=False))
    assert wrong.code == "EVENT_TOO_BIG"
    assert planned(bp.kprobe("untyped", captures=texts, string_bytes=11000))


def test_a_record_that_no_buffer_holds() -> None:
    texts = {f"c{n}": f"+{n}(%si):u64[64]" for n in range(5)}
    with pytest.raises(bp.OptionError, match="raise buffer_bytes"):
        planned(bp.kprobe("untyped", captures=texts), buffer_bytes=4096)
    assert planned(bp.kprobe("untyped", captures=texts), buffer_bytes=8192)


@pytest.mark.parametrize(
    ("probe", "transport", "memory"),
    [
        ("p untyped $arg1", "ring", Memory.RING),
        ("p untyped $arg1", "perf", Memory.STACK),
        ("p untyped +0(%si):u64[64]", "ring", Memory.RING),
        ("p untyped +0(%si):u64[64]", "perf", Memory.SCRATCH),
        ("p untyped $arg1:string", "ring", Memory.SCRATCH),
        ("p untyped $arg1:string", "perf", Memory.SCRATCH),
        ("uprobe:bash:main $arg1:string", "ring", Memory.SLOTS),
        ("uprobe:bash:main $arg1", "ring", Memory.RING),
        ("uprobe:bash:main $arg1", "perf", Memory.STACK),
        ('uprobe:bash:main if +0(%si) ~ "*x*"', "ring", Memory.SLOTS),
        ('p untyped if +0(%si) ~ "*x*"', "ring", Memory.SCRATCH),
        ('p untyped if +0(%si) ~ "x*"', "ring", Memory.RING),
        ('p untyped if comm ~ "*x*"', "ring", Memory.RING),
        (f'p untyped if +0(%si) == "{"x" * 62}"', "ring", Memory.RING),
        (f'p untyped if +0(%si) == "{"x" * 63}"', "ring", Memory.SCRATCH),
    ],
)
def test_where_an_event_is_put_together(probe: str, transport: str, memory: Memory) -> None:
    plan = planned(probe, transport=transport)
    found = plan.probes[0]
    assert found.placed is memory
    assert found.memory.name == memory.value
    assert found.memory.because
    if found.scratch_map is None:
        assert memory in (Memory.RING, Memory.STACK)
        return
    scratch = plan.maps[found.scratch_map]
    assert scratch.value_size == found.scratch_bytes
    assert scratch.max_entries == (4 if memory is Memory.SLOTS else 1)


def test_nothing_depends_on_the_order_of_dictionaries() -> None:
    again = machine()
    probe = "p:x vfs_read file->f_flags name=file->f_path.dentry->d_iname if pid == 4"
    assert one_plan(probe).layout == one_plan(probe, again).layout
