"""A recording may be anybody's: it is refused, or what it says is only values.

``BPFPROBE_FUZZ_EXAMPLES=5000 pytest tests/cases/test_r5_recordings.py`` looks for longer.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.check.reliances import reliances
from bpfprobe.cli.plan_text import layout_text, plan_text
from bpfprobe.cli.value_text import bound_text
from bpfprobe.errors import BpfprobeError, TargetError
from bpfprobe.ftrace.event import ftrace_event
from bpfprobe.model.scalar import U32
from bpfprobe.pipeline import describe, spec_of
from bpfprobe.render.structs import StructRegister
from bpfprobe.testing import RecordedTarget, record_target
from tests.mutations import MARK, examples, mutated_json
from tests.render.test_hostile import shape
from tests.sample_machine import machine

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.target import Target

PROBES = (
    "p:a vfs_read name=file->f_path.dentry->d_name.name:string inode=file->f_inode->i_ino",
    "p:b vfs_read level=file->level ready=file->ready tags=file->tags[2] marks=file->marks[1]",
    "p:c vfs_read x=((struct task_struct *)$arg1)->mm->arg_start y=(task_struct)$arg1->pid",
    "r:d do_sys_openat2 path=filename:ustring fd=$retval flags=how->flags took=duration",
    "p:e vfs_raed count",
    "p:f vfs_read cuont",
    "p:g vfs_read+0x4 jiffies=@jiffies_like",
    "p:h eight h a b c",
    "kprobe:by_value first last",
    "kprobe:wake task->comm letter now why:string",
    "kprobe:vfs_* func",
    "p:i name_show",
    "p:j renamed",
    "tracepoint:sched:sched_switch prev_comm prev_pid prev_state",
    "tracepoint:sched:sched_process_exec filename pid if filename ~ 'a*'",
    "tracepoint:lab:shapes text numbers[1] four file->f_pos small",
    "syscall:openat filename flags if flags & 3",
    "syscall:execve argv filename retval",
    "uprobe:bash:readline x=$arg1 y=+0($arg1):string",
    "uprobe:bash:raedline",
    "uretprobe:bash:twice $retval",
    "uprobe:/opt/gopher:main.main",
    "uprobe:/bin/broken:x",
    "uprobe:c:ma* func",
    "uprobe:bash:main pid",
)
WORD = re.compile(r"\b\d+(?=U?L?L?\b)|\b0x[0-9a-f]+")


def asked(target: Target) -> None:
    """Everything above the waterline, for each probe alone."""
    for text in PROBES:
        try:
            made = describe([spec_of(bp.probe(text))], target)
            for bound in made.bound.probes:
                bound_text(bound)
                reliances(bound, target)
                ftrace_event(bound, made.bound.facts.arch, target)
            plan_text(made.plan)
            for probe in made.plan.probes:
                layout_text(probe.layout)
        except BpfprobeError as error:
            check_printable(error)
            continue
        source = made.source.text
        assert MARK not in source
        shape(source)
        assert all(int(number, 0) < 1 << 64 for number in WORD.findall(source))


def check_printable(error: BpfprobeError) -> None:
    assert all(line.isprintable() for line in str(error).split("\n"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    recording = record_target(machine())
    asked(recording)
    path = tmp_path_factory.mktemp("recorded") / "x.json"
    recording.write(path)
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_the_recording_itself_is_taken(recorded: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(recorded))
    asked(RecordedTarget.load(path))


def test_every_changed_recording_is_refused_or_harmless(
    recorded: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "x.json"
    refused = 0
    for seed in range(examples(150)):
        path.write_text(json.dumps(mutated_json(recorded, random.Random(seed))))
        try:
            target = RecordedTarget.load(path)
        except TargetError as error:
            check_printable(error)
            refused += error.code == "BAD_RECORDING"
            continue
        try:
            asked(target)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    assert refused > examples(150) / 5


@pytest.mark.parametrize(
    ("noun", "field", "value"),
    [
        ("TracepointField", "offset", "8); evil(("),
        ("TracepointField", "offset", -8),
        ("TracepointField", "size", 8.0),
        ("TracepointField", "signed", 1),
        ("TracepointField", "name", None),
        ("Member", "offset", "0"),
        ("Member", "bit_size", 1000),
        ("Member", "type", "int"),
        ("Member", "type", {"": "Answer", "present": True, "evidence": ""}),
        ("KInt", "size", 3),
        ("KInt", "signed", "yes"),
        ("KPointer", "size", 1 << 70),
        ("KStruct", "type_id", [1]),
        ("KArray", "count", True),
        ("Symbol", "address", "0"),
        ("Symbol", "name", "a\ud800"),
        ("Symbol", "name", "a\0b"),
        ("Tracepoint", "event_id", -1),
        ("Tracepoint", "fields", [1]),
        ("Prototype", "parameters", {}),
        ("BinarySymbol", "offset", None),
        ("Binary", "text", [[1, 2]]),
        ("MachineFacts", "page_size", 0),
        ("MachineFacts", "cpus", 1.0),
        ("MachineFacts", "btf", None),
        ("TargetError", "code", "x\ny"),
        ("TargetError", "hint", 1),
        ("TargetError", "message", ["x"]),
    ],
)
def test_each_field_has_its_type(
    recorded: dict[str, Any], tmp_path: Path, noun: str, field: str, value: object
) -> None:
    content = json.loads(json.dumps(recorded))
    found = [one for one in nouns(content) if one[""] == noun]
    assert found, "the recording has one of each"
    found[0][field] = value
    assert refusal(content, tmp_path / "x.json") == "BAD_RECORDING"


def nouns(content: Any) -> list[dict[str, Any]]:
    """Every noun in a recording."""
    parts = content.values() if isinstance(content, dict) else content
    inner = [one for part in parts if isinstance(part, dict | list) for one in nouns(part)]
    return [content, *inner] if isinstance(content, dict) and "" in content else inner


def refusal(content: Any, path: Path) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(text)
    with pytest.raises(TargetError) as caught:
        RecordedTarget.load(path)
    assert str(path) in caught.value.message
    return caught.value.code


@pytest.mark.parametrize("name", ["int", "linux", "9lives", "struct", "a b", "**", "x"])
def test_a_member_of_any_name_is_an_identifier_in_c(name: str) -> None:
    """Rust has members that are keywords in C."""
    tag, member = StructRegister().use(name, name, 8, U32)
    assert re.fullmatch(r"struct k_\w+", tag)
    assert re.fullmatch(r"[A-Za-z_]\w*", member)
    assert member not in ("int", "linux", "struct")


def nested(depth: int) -> dict[str, Any]:
    """A recording with pointers to pointers."""
    inner: Any = {"": "KInt", "spelling": "int", "size": 4, "signed": True}
    for _ in range(depth):
        inner = {"": "KPointer", "spelling": "x", "target": inner}
    proto = {"": "Prototype", "name": "f", "parameters": [], "returns": inner}
    return {"schema": 1, "answers": {'prototype("f", "")': proto}}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", {"schema": 1, "answers": {"facts()": [1]}}),
        ("x.json", {"schema": 1, "answers": {"facts()": None}}),
        ("x.json", {"schema": 1, "answers": {'symbols("x")': "x"}}),
        ("x.json", {"schema": 1, "answers": {"eval()": None}}),
        ("x.json", {"schema": 1, "answers": {"_ask()": None}}),
        ("x.json", {"schema": 1, "answers": []}),
        ("x.json", nested(200)),
        ("x.json", b'{"schema": 1, "answers": {"facts()": %s}}' % (b"[" * 90_000)),
        ("x.json", b'{"schema": 1, "answers": {"facts()": %s}}' % (b"9" * 9_000)),
        ("x.json.gz", gzip.compress(b'{"schema": 1}', mtime=0)),
        ("x.json.gz", gzip.compress(b"x" * 10, mtime=0)[:-3]),
    ],
)
def test_what_is_not_answers(tmp_path: Path, name: str, content: Any) -> None:
    assert refusal(content, tmp_path / name) == "BAD_RECORDING"


def test_types_may_be_nested_as_c_nests_them(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(nested(60)))
    assert RecordedTarget.load(path).prototype("f") is not None


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bpfprobe.testing.recorded_target.MAX_FILE_BYTES", 1 << 20)
    bomb = gzip.compress(bytes(8 << 20))
    assert refusal(bomb, tmp_path / "x.json.gz") == "BAD_RECORDING"
    plain = b'{"schema": 1, "answers": {}}' + b" " * (2 << 20)
    assert refusal(plain, tmp_path / "x.json") == "TOO_BIG"
