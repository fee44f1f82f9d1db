"""An object may be anybody's, and its programs may send any record: an error of ours, or values.

``BPFPROBE_FUZZ_EXAMPLES=5000 pytest tests/cases/test_r7_objects.py`` looks for longer.
"""

from __future__ import annotations

import contextlib
import random
import struct
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.building import build_object
from bpfprobe.deliver.batch import batches_of
from bpfprobe.deliver.columns import sound
from bpfprobe.deliver.decode import Decoder
from bpfprobe.deliver.ftrace_text import ftrace_values
from bpfprobe.deliver.json_lines import json_line
from bpfprobe.deliver.table import Table
from bpfprobe.errors import BpfprobeError, DecodeError, ObjectError
from bpfprobe.model.chunk import UnevenChunk
from bpfprobe.model.layout import FieldKind
from bpfprobe.model.noun import is_noun
from bpfprobe.store.container import Content, sealed, unsealed
from bpfprobe.store.object_file_codec import encode_object_file
from bpfprobe.store.start import decode_start, encode_start
from bpfprobe.testing import FakeEngine, pack_record
from tests.cases.test_r5_recordings import check_printable
from tests.mutations import NUMBERS, TEXTS, examples
from tests.sample_machine import MACHINE
from tests.store.test_codec import start_of

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.model.layout import Layout
    from bpfprobe.store.start import Start

READS = "kprobe:vfs_read n=count:u64 name=file->f_path.dentry->d_name.name if n > 1000"
RETURNS = "kretprobe:vfs_write retval took=duration n=count"
PROBES = (
    READS,
    RETURNS,
    "kprobe:vfs_read kstack ustack tags=+0($arg1):u8[4] f=+0($arg2):f32 s=$arg1:symstr",
    "kprobe:vfs_read y=$arg2:symbol stack=kstack",
    "kprobe:vfs_read c=$arg1:char ok=$arg2:bool texts=+0(+0($arg1)):string[3] b=buf:bytes[count]",
    "syscall:execve argv filename retval",
    "uprobe:c:ma* func y=$arg1:x64",
)


class Compiler(FakeEngine):
    def compiler(self) -> str:
        return "libbcc 1"


def changed(noun: Any, chance: random.Random) -> Any:
    """Return the noun with one value of it changed to another of its type."""
    places = list(leaves(noun))
    path, value = chance.choice(places)
    if isinstance(value, tuple) and len(value) == 2:  # a pair, which is not written as a row
        path, value = (*path, 0), value[0]
    return put(noun, path, other(value, chance))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """Every place in a noun, with what is there."""
    if path:
        yield path, value
    if isinstance(value, tuple):
        for at, part in enumerate(value):
            yield from leaves(part, (*path, at))
    elif is_noun(value) and not isinstance(value, Enum):
        for name in type(value).__annotations__:
            yield from leaves(getattr(value, name), (*path, name))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    first, *rest = path
    if isinstance(value, tuple):
        return (*value[:first], put(value[first], tuple(rest), new), *value[first + 1 :])
    return replace(value, **{first: put(getattr(value, first), tuple(rest), new)})


def other(value: Any, chance: random.Random) -> Any:
    match value:
        case bool():
            return not value
        case int():
            numbers = [n for n in NUMBERS if -(1 << 63) <= n < 1 << 64]
            return chance.choice((*numbers, max(0, value - 1), value + 1))
        case str():
            return chance.choice([t for t in TEXTS if "\ud83d" not in t] + [value[1:]])
        case bytes():
            return chance.choice((b"", value[:-1], value * 2, bytes(len(value))))
        case Enum():
            return chance.choice(list(type(value)))
        case tuple():
            return chance.choice(((), value[1:], value * 2, value[::-1]))
    return value


def use_records(start: Start, chance: random.Random) -> None:
    """Decode records that programs of the object could send."""
    layouts = [probe.layout for probe in start.object.wiring.probes]
    decoder = Decoder(layouts)
    for number, layout in enumerate(layouts):
        table = Table([layout])
        for record in records(number, layout, chance):
            try:
                event = decoder.event(record)
            except DecodeError:
                continue
            for use in (json_line, table.row, lambda e: list(ftrace_values(e))):
                with contextlib.suppress(DecodeError):
                    use(event)
            use_batches(record, decoder)


def use_batches(record: bytes, decoder: Decoder) -> None:
    data = record + bytes(-len(record) % 8)
    chunk = sound(UnevenChunk(data, memoryview(data), [0], [len(record)]), decoder.layouts)
    for batch in batches_of(chunk, decoder) if chunk else ():
        assert len(batch.array) == 1
        for name in batch.type.names():
            batch.faulted(name)
        with contextlib.suppress(DecodeError):
            batch.arrow()


def records(number: int, layout: Layout, chance: random.Random) -> list[bytes]:
    size = layout.head_size + 64
    head = struct.pack("<H", number)
    return [head + bytes(size - 2)] + [head + chance.randbytes(size - 2) for _ in range(3)]


def attempt(use: Any, *arguments: Any) -> str:
    """The code of the error of ours that comes of it."""
    try:
        use(*arguments)
    except BpfprobeError as error:
        check_printable(error)
        return error.code
    return ""


def test_every_changed_start_is_refused_or_decodes() -> None:
    start = start_of(*PROBES)
    use_records(start, random.Random(0))
    codes = set()
    for seed in range(examples(150)):
        chance = random.Random(seed)
        made = changed(start, chance)

        def use(made: Any = made, chance: random.Random = chance) -> None:
            data = encode_start(made)
            use_records(decode_start(damaged(data, Content.START, chance)), chance)

        try:
            codes.add(attempt(use))
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    assert codes <= {"", "DAMAGED"}
    assert len(codes) == 2


def damaged(data: bytes, content: Content, chance: random.Random) -> bytes:
    """In every third, one byte is another, under a good seal."""
    if chance.randrange(3):
        return data
    payload = bytearray(unsealed(content, data))
    payload[chance.randrange(len(payload))] = chance.randrange(256)
    return sealed(content, bytes(payload))


def test_every_changed_object_is_refused_or_runs(tmp_path: Path) -> None:
    file = build_object([bp.probe(READS), bp.probe(RETURNS)], MACHINE, Compiler(), bp.Options())
    path = tmp_path / "x.bpfo"

    def run() -> None:
        engine = FakeEngine()
        with bp.Session.from_file(path, target=MACHINE, engine=engine) as session:
            layouts = [session.event_type(probe).layout for probe in session.probes]
            for number, layout in enumerate(layouts):
                for record in records(number, layout, chance):
                    engine.push(record)
            for event in session.events(duration=0):
                attempt(json_line, event)

    codes = set()
    for seed in range(examples(60)):
        chance = random.Random(seed)
        data = encode_object_file(changed(file, chance))
        path.write_bytes(damaged(data, Content.FILE, chance))
        try:
            codes.add(attempt(run))
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    assert "DAMAGED" in codes


LAYOUT = start_of(READS).object.wiring.probes[0].layout


@pytest.mark.parametrize(
    "change",
    [
        {"head_size": 8},
        {"head_size": 1 << 40},
        {"tail_size": -1},
        {"tail_size": 0},
        {"mark_offsets": ()},
        {"mark_offsets": (1 << 20,)},
        {"name": "a b"},
        {"fields": ()},
        {"fields": LAYOUT.fields * 2},
        {"n": {"offset": -8}},
        {"n": {"offset": 0}},
        {"n": {"size": 3}},
        {"n": {"size": 0}},
        {"n": {"count": 0}},
        {"n": {"mark": 99}},
        {"n": {"kind": FieldKind.CHARACTER}},
        {"n": {"kind": FieldKind.STRING}},
        {"n": {"kind": FieldKind.FLOAT}},
        {"n": {"bit_size": 65}},
        {"n": {"name": "x\ny"}},
        {"name_": {"size": 8}},
        {"pid": {"kind": FieldKind.COMM}},
    ],
    ids=str,
)
def test_a_layout_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    (name, value), *_ = change.items()
    if isinstance(value, dict):
        name = name.strip("_")
        fields = [replace(f, **value) if f.name == name else f for f in LAYOUT.fields]
        layout = replace(LAYOUT, fields=tuple(fields))
    else:
        layout = replace(LAYOUT, **change)
    start = start_of(READS)
    (wired,) = start.object.wiring.probes
    wiring = replace(start.object.wiring, probes=(replace(wired, layout=layout),))
    with pytest.raises(ObjectError) as caught:
        decode_start(encode_start(replace(start, object=replace(start.object, wiring=wiring))))
    assert caught.value.code == "DAMAGED"


@pytest.mark.parametrize("place", [0xFFFF0000, 0x00010000, 0x7FFFFFFF, 0x0010FFFF])
def test_a_text_beyond_its_record_is_never_another_record(place: int) -> None:
    (wired,) = start_of("p:a vfs_read s=+0($arg2):string").object.wiring.probes
    layout, text = wired.layout, wired.layout.field("s")
    record = bytearray(pack_record(layout, s="abc"))
    record[text.offset : text.offset + 4] = struct.pack("<I", place)
    decoder = Decoder([layout])
    with pytest.raises(DecodeError, match="beyond"):
        _ = decoder.event(bytes(record)).s  # type: ignore[attr-defined]
    both = bytes(record) + bytes(-len(record) % 8)
    data = memoryview(both * 3)
    starts = [0, len(both), 2 * len(both)]
    chunk = UnevenChunk(bytes(data), data, starts, [len(record)] * 3)
    (batch,) = batches_of(chunk, decoder)
    with pytest.raises(DecodeError, match="beyond"):
        batch.arrow()


def test_a_stack_that_is_not_addresses() -> None:
    (wired,) = start_of("p:a vfs_read kstack").object.wiring.probes
    layout, stack = wired.layout, wired.layout.field("kstack")
    record = bytearray(pack_record(layout, kstack=[1, 2]))
    record[stack.offset : stack.offset + 4] = struct.pack("<I", 13 << 16 | layout.head_size)
    with pytest.raises(DecodeError, match="13 bytes"):
        _ = Decoder([layout]).event(bytes(record)).kstack  # type: ignore[attr-defined]
