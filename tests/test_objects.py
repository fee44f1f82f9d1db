"""Objects in files: built for one machine, run or refused on another; on fakes."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe import starting
from bpfprobe.building import build_object
from bpfprobe.errors import ObjectError
from bpfprobe.objects import BuiltObject, read_object, source_digest
from bpfprobe.store.container import Content, sealed, unsealed
from bpfprobe.store.folder import MAX_FILE_BYTES
from bpfprobe.store.object_file_codec import decode_object_file, encode_object_file
from bpfprobe.testing import FakeEngine, pack_record
from tests.sample_machine import ARM, FACTS, MACHINE, NO, STRUCTS, machine

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.model.object_file import ObjectFile
    from bpfprobe.target import Target

READS = "kprobe:vfs_read n=count:u64 name=file->f_path.dentry->d_name.name if n > 1000"
RETURNS = "kretprobe:vfs_write retval took=duration n=count"


class Compiler(FakeEngine):
    def compiler(self) -> str:
        return "libbcc 1"


def built(*texts: str, target: Target = MACHINE, **options: Any) -> ObjectFile:
    probes = [bp.probe(text) for text in texts]
    return build_object(probes, target, Compiler(), bp.Options(**options))


@pytest.fixture
def path(tmp_path: Path) -> str:
    made = tmp_path / "x.bpfo"
    made.write_bytes(encode_object_file(built(READS, RETURNS)))
    return str(made)


def run(path: str, target: Target = MACHINE, **options: Any) -> FakeEngine:
    engine = FakeEngine()
    with bp.Session.from_file(path, target=target, engine=engine, **options) as session:
        layout = session.event_type(session.probes[0]).layout
        engine.push(pack_record(layout, n=7, name="x"))
        (event,) = session.events(duration=0)
        assert (event.n, event.name) == (7, "x")
        assert len(engine.attached) == 3
    return engine


SHAPES: list[dict[str, int]] = [
    {**process, **thread, **user}
    for process in ({}, {"pid": 7}, {"not_pid": 8})
    for thread in ({}, {"tid": 9})
    for user in ({}, {"uid": 0})
]


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_it_runs_without_a_compiler(path: str, options: dict[str, int]) -> None:
    assert run(path, **options).sources == []


def test_what_is_in_it() -> None:
    file = built(READS, RETURNS, buffer_bytes=1 << 16)
    assert decode_object_file(encode_object_file(file)) == file
    assert [description.place for description in file.descriptions] == [READS, RETURNS]
    assert (file.release, file.version) == (FACTS.release, bp.__version__)
    assert (file.transport, file.buffer_bytes, file.inflight) == ("auto", 1 << 16, 16384)
    assert len(file.variants) == len(SHAPES)
    depends = dict(file.depends)
    assert depends["the architecture"] == "x86_64"
    assert depends["the buffer"] == "ring buffer of 65536 bytes"
    assert depends["vfs_read: the mechanism"] == "kprobe at kprobe:vfs_read"
    assert depends["argument count of vfs_read"] == "number 3, size_t count"
    assert depends["argument count of vfs_write"] == "number 3, size_t count"
    assert depends["file.f_path.dentry"] == "x64 at 8"


def test_what_two_probes_call_the_same_is_told_apart() -> None:
    names = ("file->f_path.dentry->d_iname", "file->tags")
    depends = dict(built(*(f"p:p{n} vfs_read a={name}" for n, name in enumerate(names))).depends)
    assert depends["the memory of a"] == "at 32, 32 bytes"
    assert depends["p1: the memory of a"] == "at 29, u8[4]"


def test_the_buffer_is_as_it_was_built(tmp_path: Path) -> None:
    path = tmp_path / "x.bpfo"
    made = built(READS, RETURNS, transport="perf", buffer_bytes=1 << 16)
    path.write_bytes(encode_object_file(made))
    assert run(str(path)).sources == []
    with pytest.raises(ObjectError, match="the buffer: perf buffers of 65536 bytes there, ring b"):
        run(str(path), transport="ring")


def refusal(path: str, target: Target) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        run(path, target)
    assert caught.value.code == "OBJECT_DIFFERS"
    assert "bpfprobe build" in (caught.value.hint or "")
    return caught.value


def test_a_member_that_moved_is_named(path: str) -> None:
    moved = {**STRUCTS, "qstr": "long more; " + STRUCTS["qstr"]}
    facts = replace(FACTS, release="7.2.0")
    error = refusal(path, machine(facts, structs=moved))
    assert error.message.startswith(f"{path} was built for {FACTS.release} and cannot run on 7.2.0")
    assert error.message.endswith(": dentry.d_name.name: x64 at 24 there, x64 at 32 here")


def test_an_argument_that_moved_is_named(path: str) -> None:
    function = "ssize_t vfs_read(struct file *file, int new, char __user *buf, size_t count)"
    error = refusal(
        path, machine(functions=(function, "ssize_t vfs_write(int a, int b, int count)"))
    )
    assert (
        "argument count of vfs_read: number 3, size_t count there, number 4, size_t count here"
        in error.message
    )


def test_other_things_that_differ(path: str) -> None:
    ring = refusal(path, machine(replace(FACTS, ring_buffer=NO)))
    assert "the buffer: ring buffer of" in ring.message
    arm = refusal(path, ARM)
    assert "the architecture: x86_64 there, aarch64 here" in arm.message


def test_what_is_not_there_is_told_as_ever(path: str) -> None:
    with pytest.raises(bp.SpecError, match="has no function vfs_read"):
        run(path, machine(functions=()))


def test_another_bpfprobe_writes_other_c(path: str, tmp_path: Path) -> None:
    file = read_object(path).file
    strange = [replace(variant, source="0" * 32) for variant in file.variants]
    other = tmp_path / "other.bpfo"
    other.write_bytes(encode_object_file(replace(file, variants=tuple(strange))))
    assert "writes other C than this one" in refusal(str(other), MACHINE).message


def test_programs_of_other_names_are_not_taken(path: str) -> None:
    from bpfprobe.pipeline import describe

    file = read_object(path).file
    made = describe([bp.probe(READS), bp.probe(RETURNS)], MACHINE)
    cut = [replace(variant, programs=variant.programs[1:]) for variant in file.variants]
    with pytest.raises(ObjectError):
        BuiltObject("x", replace(file, variants=tuple(cut)), b"").programs_for(made, MACHINE)
    assert source_digest(made.source) in {variant.source for variant in file.variants}


def test_an_address_of_one_boot_is_not_built() -> None:
    with pytest.raises(bp.SpecError) as caught:
        built("kprobe:vfs_read j=@jiffies_like")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.span and diagnostic.span.text) == (
        "OBJECT_ADDRESS",
        "j=@jiffies_like",
    )


def test_what_cannot_work_there_is_not_built() -> None:
    with pytest.raises(bp.AttachError, match="has no kprobes"):
        built(READS, target=machine(replace(FACTS, kprobes=NO)))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-1]), "DAMAGED"),
        (lambda p: p.write_bytes(p.read_bytes()[:50] + b"!" + p.read_bytes()[51:]), "DAMAGED"),
        (lambda p: p.write_bytes(b"\x7fELF" + bytes(100)), "NOT_AN_OBJECT"),
        (lambda p: p.write_bytes(b""), "NOT_AN_OBJECT"),
        (lambda p: p.unlink(), "NO_FILE"),
        (lambda p: (p.unlink(), os.mkfifo(p)), "NOT_REGULAR"),
        (lambda p: (p.unlink(), p.mkdir()), "NOT_REGULAR"),
        (lambda p: os.truncate(p, MAX_FILE_BYTES + 1), "TOO_BIG"),
        (lambda p: (p.unlink(), p.symlink_to(p)), "LINK_LOOP"),
    ],
    ids=["cut", "bit", "elf", "empty", "gone", "fifo", "folder", "huge", "loop"],
)
def test_a_file_that_is_none(path: str, tmp_path: Path, spoil: Any, code: str) -> None:
    spoil(tmp_path / "x.bpfo")
    with pytest.raises((ObjectError, bp.TargetError)) as caught:
        bp.Session.from_file(path)
    assert caught.value.code == code
    assert path in str(caught.value)


def test_descriptions_that_are_none_are_damage(path: str) -> None:
    file = read_object(path).file
    for wrong in ((), (replace(file.descriptions[0], pid=-1),)):
        with pytest.raises(ObjectError, match="no probe that there can be"):
            decode_object_file(encode_object_file(replace(file, descriptions=wrong)))
    payload = unsealed(Content.FILE, encode_object_file(file))
    with pytest.raises(ObjectError, match="left over"):
        decode_object_file(sealed(Content.FILE, payload + b"\0"))


def test_a_description_that_is_wrong_is_told(path: str, tmp_path: Path) -> None:
    file = read_object(path).file
    wrong = replace(file, descriptions=(replace(file.descriptions[0], place="p f ???"),))
    (tmp_path / "wrong.bpfo").write_bytes(encode_object_file(wrong))
    with pytest.raises(bp.SpecError):
        bp.Session.from_file(str(tmp_path / "wrong.bpfo"))


def test_its_start_is_kept_apart_from_what_was_compiled_here(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BPFPROBE_CACHE", str(tmp_path / "cache"))
    engines: list[Compiler] = []

    def engine() -> Compiler:
        engines.append(Compiler())
        return engines[-1]

    looked: list[int] = []

    def live_target() -> Target:
        looked.append(1)
        return MACHINE

    monkeypatch.setattr(starting, "live_engine", engine)
    monkeypatch.setattr(starting, "live_target", live_target)
    for _ in range(2):
        with bp.Session.from_file(path):
            assert engines[-1].attached
    assert len(looked) == 1, "the second start needs no stage"
    with bp.Session(bp.probe(READS), bp.probe(RETURNS)):
        assert len(engines[-1].sources) == 1, "what somebody else compiled is not taken for ours"
    file = read_object(path).file
    (tmp_path / "x.bpfo").write_bytes(encode_object_file(replace(file, made_s=1)))
    with bp.Session.from_file(path):
        assert len(looked) == 3, "another file is another start"
