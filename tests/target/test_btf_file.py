from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

import bpfprobe as bp
from bpfprobe.cli.targets import target_of
from bpfprobe.errors import MissingLibraryError, SpecError, TargetError
from bpfprobe.model.value import Load
from bpfprobe.model.walk import walk
from bpfprobe.pipeline import describe
from bpfprobe.target.btf_file import BtfFileTarget, is_btf
from bpfprobe.target.libbpf_btf import Kind, load_libbpf
from bpfprobe.target.live import LiveTarget
from bpfprobe.testing import RecordedTarget
from tests.btf_bytes import BtfFile

try:
    load_libbpf()
except MissingLibraryError as missing:
    pytest.skip(f"needs libbpf: {missing}", allow_module_level=True)

RECORDED = Path(__file__).parents[1] / "targets" / "x86_64-6.1.json.gz"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = BtfFile()
    u32 = file.integer("unsigned int", 4)
    inside = file.struct("file", 16, [("f_mode", u32, 64)])
    pointer = file.pointer(inside)
    file.function("vfs_read", u32, ("file", pointer), ("n", u32))
    file.function("vfs_write", u32, ("file", pointer))
    file.function("__x64_sys_getpgid", u32, ("regs", file.pointer(0)))
    values = [file.string("BPF_MAP_TYPE_HASH"), 1, file.string("BPF_MAP_TYPE_RINGBUF"), 27]
    file.add(Kind.ENUM, "bpf_map_type", 4, *values, vlen=2)
    return file.write(tmp_path / "6.1-cloud")


def test_functions_types_and_members(path: Path) -> None:
    target = BtfFileTarget(path, "x86_64")
    compiled = describe([bp.kprobe("vfs_read", mode="file->f_mode")], target)
    (load,) = (n for n in walk(compiled.bound.probes[0].captures) if isinstance(n, Load))
    assert (load.struct, load.member, load.offset) == ("file", "f_mode", 8)
    assert target.matching_functions("vfs_*") == ("vfs_read", "vfs_write")
    assert target.similar_structs("fiel") == ("file",)
    assert target.prototype("vfs_read", "ext4") is None
    assert target.is_traceable("vfs_read") is target.is_blacklisted("vfs_read") is None


def test_a_function_that_is_not_there_has_near_ones(path: Path) -> None:
    with pytest.raises(SpecError, match="did you mean vfs_read"):
        describe([bp.kprobe("vfs_raed")], BtfFileTarget(path, "x86_64"))


def test_system_calls_go_by_the_number_of_the_argument(path: Path) -> None:
    target = BtfFileTarget(path, "x86_64")
    assert describe([bp.syscall("getpgid", asked="$arg1:s32")], target).plan.probes
    with pytest.raises(SpecError, match=r"\$arg1, \$arg2, \.\.\. always work"):
        describe([bp.syscall("getpgid", asked="whose")], target)


@pytest.mark.parametrize(
    "probe", [bp.tracepoint("sched:sched_switch"), bp.uprobe("/bin/sh", offset=64)]
)
def test_what_btf_does_not_have_is_said(path: Path, probe: bp.Probe) -> None:
    with pytest.raises((TargetError, SpecError)) as caught:
        describe([probe], BtfFileTarget(path, "x86_64"))
    assert caught.value.code == "NOT_IN_BTF"
    assert "--record" in (caught.value.hint or "")


def test_what_the_machine_allows_cannot_be_told(path: Path) -> None:
    facts = BtfFileTarget(path).facts()
    assert (facts.arch, facts.release) == (os.uname().machine, "6.1-cloud")
    assert facts.btf.present is True
    assert facts.ring_buffer.present is True  # an enumerator says so
    assert {facts.kprobes.present, facts.tracefs.present, facts.bpf_link.present} == {None}


def test_a_vmlinux_says_what_it_is(path: Path, tmp_path: Path) -> None:
    """The smallest ELF with a section .BTF, a banner, and another processor's number."""
    btf = path.read_bytes()
    names = b"\0.shstrtab\0.BTF\0"
    banner = b"\0Linux version 6.99.0-lab (me@here)\0"
    at = 64
    place = {"btf": at, "names": at + len(btf), "banner": at + len(btf) + len(names)}
    sections = place["banner"] + len(banner)
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, 183, 1, 0, 0, sections, 0, 64, 0, 0, 64, 3, 1
    )
    entry = struct.Struct("<IIQQQQIIQQ")
    table = bytes(64)
    table += entry.pack(1, 3, 0, 0, place["names"], len(names), 0, 0, 1, 0)
    table += entry.pack(11, 1, 0, 0, place["btf"], len(btf), 0, 0, 1, 0)
    file = tmp_path / "vmlinux"
    file.write_bytes(head + btf + names + banner + table)
    facts = BtfFileTarget(file).facts()
    assert (facts.arch, facts.release) == ("aarch64", "6.99.0-lab")
    assert BtfFileTarget(file).prototype("vfs_read") is not None


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [("elf", b"\x7fELF", True), ("btf", b"\x9f\xeb\1", True), ("json", b"{}", False),
     ("gz", b"\x1f\x8b", False), ("empty", b"", False)],
)  # fmt: skip
def test_what_looks_like_btf(tmp_path: Path, name: str, content: bytes, expected: bool) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_btf(str(tmp_path / name)) is expected


def test_the_machine_that_a_command_line_means(path: Path, tmp_path: Path) -> None:
    assert isinstance(target_of(None), LiveTarget)
    assert isinstance(target_of(str(path)), BtfFileTarget)
    assert isinstance(target_of(str(RECORDED)), RecordedTarget)
    os.mkfifo(tmp_path / "fifo")
    for name, code in (("gone", "NO_FILE"), ("fifo", "NOT_REGULAR"), (".", "NOT_REGULAR")):
        with pytest.raises(TargetError) as caught:
            target_of(str(tmp_path / name))
        assert caught.value.code == code
