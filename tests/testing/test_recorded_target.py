from __future__ import annotations

import dataclasses
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfprobe.errors import TargetError
from bpfprobe.model import ktype, machine
from bpfprobe.model.ktype import KArray, KFloat, KInt, KOther, KPointer, KStruct, KType
from bpfprobe.testing import RecordedTarget, StaticTarget, record_target
from bpfprobe.testing.codec import NOUNS, decode, encode

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.target import Target

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
small = st.integers(0, 2**64 - 1)
u16, bits = st.integers(0, 2**16 - 1), st.integers(0, 127)
sizes = st.sampled_from([4, 8])
# What the bytes of a strange name become; JSON must carry it.
surrogates = st.sampled_from(["f\udcff", "\x1b[31m", "ünï"])

ktypes: st.SearchStrategy[KType] = st.recursive(
    st.builds(
        KInt, text, st.sampled_from([1, 2, 4, 8, 16]), st.booleans(), st.booleans(), st.booleans()
    )
    | st.builds(
        KStruct, text, text, small, small, st.booleans(), st.booleans(), st.booleans(), sizes
    )
    | st.builds(KFloat, text, sizes)
    | st.builds(KOther, text, small, st.booleans(), text),
    lambda inner: (
        st.builds(KPointer, text, inner, st.booleans(), sizes)
        | st.builds(KArray, text, inner, small, small, st.booleans())
    ),
    max_leaves=4,
)
members = st.builds(ktype.Member, text, ktypes, small, bits, bits)
parameters = st.builds(
    ktype.Parameter, text | surrogates, ktypes, st.integers(-1, 40), st.booleans()
)
answers = st.builds(machine.Answer, st.none() | st.booleans(), text)
fields = st.builds(
    machine.TracepointField, text, text, u16, u16, st.booleans(), st.booleans(), st.booleans(),
    st.booleans(), st.booleans(), u16,
)  # fmt: skip
locations = st.builds(
    machine.UsdtLocation, small.map(machine.VirtualAddress), small.map(machine.FileOffset), text
)
namespaces = st.builds(machine.PidNamespace, st.integers(0, 1 << 32), st.integers(0, 1 << 32))
nouns: dict[str, st.SearchStrategy[Any]] = {
    "KType": ktypes,
    "Member": members,
    "Parameter": parameters,
    "Prototype": st.builds(
        ktype.Prototype, text, st.lists(parameters, max_size=3).map(tuple), ktypes, st.booleans()
    ),
    "Symbol": st.builds(machine.Symbol, text | surrogates, small, text, text),
    "SymbolRange": st.builds(machine.SymbolRange, text | surrogates, small, small, text),
    "TracepointField": fields,
    "Tracepoint": st.builds(
        machine.Tracepoint, text, text, u16, st.lists(fields, max_size=3).map(tuple)
    ),
    "BinarySymbol": st.builds(
        machine.BinarySymbol, text | surrogates, small.map(machine.VirtualAddress),
        small.map(machine.FileOffset), small,
    ),
    "Binary": st.builds(
        machine.Binary, text, text, st.lists(st.tuples(small, small, small)).map(tuple),
        st.booleans(),
    ),
    "OtherSymbol": st.builds(machine.OtherSymbol, text, small.map(machine.VirtualAddress)),
    "Instruction": st.builds(
        machine.Instruction, small.map(machine.FileOffset), st.integers(0, 15), text, text, text
    ),
    "DebugSymbols": st.builds(
        machine.DebugSymbols, st.booleans(), text, text | surrogates, st.lists(text).map(tuple)
    ),
    "UsdtLocation": locations,
    "UsdtMarker": st.builds(
        machine.UsdtMarker, text, text | surrogates, st.lists(locations, max_size=2).map(tuple),
        small.map(machine.VirtualAddress), small.map(machine.FileOffset),
    ),
    "Answer": answers,
    "PidNamespace": namespaces,
    "MachineFacts": st.builds(
        machine.MachineFacts, text, text, st.integers(1, 8192), st.just(4096), *[answers] * 9,
        pid_namespace=st.none() | namespaces,
    ),
}  # fmt: skip


@given(st.data())
@pytest.mark.parametrize("name", sorted(nouns))
def test_every_noun_comes_back_as_it_went(name: str, data: st.DataObject) -> None:
    noun = data.draw(nouns[name])
    assert decode(json.loads(json.dumps(encode(noun)))) == noun


def test_no_noun_is_forgotten() -> None:
    told = {"KInt", "KFloat", "KPointer", "KStruct", "KArray", "KOther"} | nouns.keys() - {"KType"}
    assert told == NOUNS.keys()


@pytest.mark.parametrize("value", [1.5, {"a": 1}, [1], object(), b"x"])
def test_what_is_no_answer_is_not_recorded(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be recorded"):
        encode(value)


@pytest.mark.parametrize("value", [{"": "Path"}, {"": "KInt"}, {"a": 1}, {"": "KInt", "b": 2}])
def test_what_was_never_written_is_not_read(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a noun|KInt\.b is 2"):
        decode(value)


def static() -> StaticTarget:
    return StaticTarget(
        functions=["ssize_t vfs_read(struct file *file, size_t count)"],
        structs={"file": "u32 f_flags; u64 f_pos"},
        tracepoints={"sched:x": ["char comm[16]"]},
        binaries={
            "/bin/bash": ["readline"],
            "/tmp/text": TargetError("no ELF", code="NOT_ELF", hint="look"),
        },
        processes={7: ["/bin/bash"]},
        blacklisted=None,
    )


def ask_everything(target: Target) -> list[object]:
    struct = target.struct("file")
    assert struct is not None
    bash = target.binary("bash")
    with pytest.raises(TargetError) as caught:
        target.binary("/tmp/text", 7)
    return [
        target.facts(),
        target.symbols("vfs_read"),
        target.similar_functions("vfs_raed"),
        target.matching_functions("vfs_*"),
        target.is_blacklisted("vfs_read"),
        target.is_traceable("vfs_read"),
        target.prototype("vfs_read"),
        target.prototype("vfs_read", "ext4"),
        struct,
        target.struct("nope"),
        target.similar_structs("fil"),
        target.members(struct),
        target.tracepoint("sched", "x"),
        target.tracepoint("sched", "y"),
        target.matching_tracepoints("*"),
        bash,
        target.binary_symbols(bash, "readline"),
        target.matching_binary_symbols(bash, "*"),
        target.similar_binary_symbols(bash, "raedline"),
        target.process_maps_binary(7, bash),
        (caught.value.code, caught.value.message, caught.value.hint),
    ]


@pytest.mark.parametrize("name", ["target.json", "target.json.gz"])
def test_a_recording_answers_as_the_target_did(tmp_path: Path, name: str) -> None:
    recording = record_target(static())
    expected = ask_everything(static())
    assert ask_everything(recording) == expected
    recording.write(tmp_path / name)
    assert ask_everything(RecordedTarget.load(tmp_path / name)) == expected


def test_the_order_of_questions_leaves_no_trace(tmp_path: Path) -> None:
    files = [tmp_path / "a.json.gz", tmp_path / "b.json.gz"]
    for file, names in zip(files, (["a", "b"], ["b", "a", "b"]), strict=True):
        recording = record_target(static())
        for name in names:
            recording.symbols(name)
        recording.write(file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_question_never_asked_says_how_to_ask_it(tmp_path: Path) -> None:
    record_target(static()).write(tmp_path / "target.json")
    target = RecordedTarget.load(tmp_path / "target.json")
    with pytest.raises(TargetError) as caught:
        target.prototype("vfs_write", "ext4")
    assert caught.value.code == "NOT_RECORDED"
    assert 'prototype("vfs_write", "ext4")' in str(caught.value)
    assert "record_target" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("gone.json", None, "NO_FILE"),
        ("a.json", b"", "BAD_RECORDING"),
        ("a.json", b"[]", "BAD_RECORDING"),
        ("a.json", b"\xff\xfe", "BAD_RECORDING"),
        ("a.json", b'{"schema": 99, "answers": {}}', "BAD_RECORDING"),
        ("a.json", b'{"schema": 1}', "BAD_RECORDING"),
        ("a.json", b'{"schema": 1, "answers": {"x": {"": "Popen"}}}', "BAD_RECORDING"),
        ("a.json", b'{"schema": 1, "answers": []}', "BAD_RECORDING"),
        ("a.json", b"[" * 100_000, "BAD_RECORDING"),
        ("a.json.gz", b"not gzip", "BAD_RECORDING"),
        ("a.json.gz", gzip.compress(b"{}" * 500, mtime=0)[:-12], "BAD_RECORDING"),
        ("a.json.gz", gzip.compress(b"x", mtime=0)[:10] + b"\xff" * 20, "BAD_RECORDING"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, name: str, content: bytes | None, code: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TargetError) as caught:
        RecordedTarget.load(tmp_path / name)
    assert caught.value.code == code


def test_nouns_are_frozen() -> None:
    for noun in NOUNS.values():
        assert dataclasses.fields(noun)
        assert noun.__dataclass_params__.frozen  # type: ignore[attr-defined]  # not in typeshed
