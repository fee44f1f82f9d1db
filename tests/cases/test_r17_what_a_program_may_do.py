"""Only what bpfprobe's own programs do is loaded, and root runs no object of another user."""

from __future__ import annotations

import os
import re
import struct
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe._resources import template_root
from bpfprobe.building import build_object
from bpfprobe.engine.allowed_calls import ALLOWED_HELPERS, check_calls
from bpfprobe.engine.context_stores import writes_context
from bpfprobe.engine.loader import load
from bpfprobe.errors import LoadError, MissingLibraryError, ObjectError
from bpfprobe.model.noun import replace
from bpfprobe.model.object import Bytecode, ProgramDef, ProgramKind
from bpfprobe.model.options import Options
from bpfprobe.objects import read_object
from bpfprobe.starting import live_engine
from bpfprobe.store.object_file_codec import encode_object_file
from bpfprobe.testing import FakeEngine
from tests.sample_machine import machine

if TYPE_CHECKING:
    from pathlib import Path

EXIT = bytes.fromhex("95 00 0000 00000000")
RETURN_0 = bytes.fromhex("b7 00 0000 00000000") + EXIT
ALICE = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")


def slot(opcode: int, to: int = 0, source: int = 0, offset: int = 0, number: int = 0) -> bytes:
    return struct.pack("<BBhi", opcode, source << 4 | to, offset, number)


def call(number: int, source: int = 0) -> bytes:
    return slot(0x85, 0, source, 0, number)


def test_the_list_is_that_of_what_programs_are_given() -> None:
    text = (template_root() / "kconfig.h").read_text()
    declared = re.findall(r"\(\*\w+\)\(.*\(void \*\)(\d+);", text)
    assert set(map(int, declared)) == ALLOWED_HELPERS
    assert not ALLOWED_HELPERS & {6, 12, 36, 58, 109, 117, 148}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (call(109), "calls bpf_send_signal,"),
        (call(117), "calls bpf_send_signal_thread"),
        (call(36), "calls bpf_probe_write_user"),
        (call(58), "calls bpf_override_return"),
        (call(12), "calls the helper 12"),
        (call(-1), "calls the helper 4294967295"),
        (call(5, source=2), "not a helper"),
        (call(5, source=1), "not a helper"),
        (call(5, source=15), "not a helper"),
        (slot(0x8D), "what a register holds"),
        (slot(0x0D), "what a register holds"),
        (slot(0x18, 1, 3) + slot(0), "not a map"),
        (slot(0x18, 1, 4) + slot(0), "not a map"),
        (slot(0x18, 1, 6) + slot(0), "not a map"),
        (call(5) * 3 + call(109), "calls bpf_send_signal,"),
    ],
)
def test_what_is_not_loaded(code: bytes, words: str) -> None:
    program = ProgramDef("p0_hot", ProgramKind.KPROBE)
    with pytest.raises(LoadError, match=words) as caught:
        load(_NoKernel(), Bytecode(program, code + RETURN_0), [])  # type: ignore[arg-type]
    assert caught.value.code == "FORBIDDEN_CALL"
    assert "the program p0_hot " in str(caught.value)


class _NoKernel:
    def bpf(self, *arguments: object) -> int:
        raise AssertionError("it came to the kernel")


def test_numbers_that_look_like_calls_are_numbers() -> None:
    wide = slot(0x18, 1, 0, 0, 0x85) + slot(0, 0, 0, 0, 109)
    check_calls("p", wide + slot(0x18, 1, 1) + slot(0) + slot(0x18, 1, 2) + slot(0) + RETURN_0)


MOV_R6_R1 = slot(0xBF, 6, 1)
R2_IS_7 = slot(0xB7, 2, 0, 0, 7)
STORE = 0x7B  # *(u64 *)(to + offset) = source
LOAD = 0x79
AX = 80


@pytest.mark.parametrize(
    ("code", "writes"),
    [
        (R2_IS_7 + slot(STORE, 1, 2, AX), True),
        (slot(0x7A, 1, 0, AX, 7), True),  # a number
        (slot(0x62, 1, 0, AX, 7), True),  # 32 bits
        (R2_IS_7 + slot(0xDB, 1, 2, AX), True),  # atomic
        (MOV_R6_R1 + call(5) + slot(STORE, 6, 0, AX), True),
        (MOV_R6_R1 + call(5) + slot(0x07, 6, 0, 0, AX) + slot(STORE, 6, 0), True),
        (slot(STORE, 10, 1, -8) + call(5) + slot(LOAD, 3, 10, -8) + slot(STORE, 3, 0, AX), True),
        (
            slot(0xBF, 7, 10) + slot(0x07, 7, 0, 0, -8) + slot(STORE, 7, 1)
            + slot(LOAD, 3, 10, -8) + slot(STORE, 3, 2, AX),
            True,
        ),
        (
            slot(STORE, 10, 1, -8) + slot(0xBF, 7, 10) + slot(LOAD, 3, 7, -8)
            + slot(STORE, 3, 2, AX),
            True,
        ),
        # on one path only, behind a jump
        (
            MOV_R6_R1 + slot(0xBF, 7, 10) + call(5) + slot(0x15, 0, 0, 1, 0) + slot(0xBF, 7, 6)
            + slot(STORE, 7, 0, 0),
            True,
        ),
        # what is read of the context is not the context
        (slot(LOAD, 3, 1, AX) + slot(STORE, 10, 3, -8) + slot(LOAD, 4, 10, -8), False),
        (slot(STORE, 10, 1, -8) + slot(STORE, 10, 2, -8) + slot(LOAD, 3, 10, -8)
         + slot(STORE, 3, 0), False),
        (call(131) + slot(0xBF, 1, 0) + slot(STORE, 1, 2, AX), False),
        (MOV_R6_R1 + slot(0x18, 6, 2) + slot(0) + slot(STORE, 6, 2), False),
    ],
)  # fmt: skip
def test_stores_to_the_registers_of_the_traced_program(code: bytes, writes: bool) -> None:
    assert writes_context(code + RETURN_0) is writes


@pytest.mark.parametrize("code", [EXIT[:0] + call(5), slot(0x05, 0, 0, 99), slot(0x05, 0, 0, -9)])
def test_a_program_that_leads_nowhere(code: bytes) -> None:
    with pytest.raises(LoadError, match="beyond its end"):
        writes_context(code)


def test_none_of_ours_is_refused() -> None:
    """Programs of all kinds, as they are built into objects."""
    specs = [
        "kprobe:vfs_read count name=file->f_path.dentry->d_name.name if count > 4096",
        "kretprobe:vfs_read count ret=$retval duration comm kstack ustack",
        'kprobe:vfs_read comm if comm ~ "a*b" && pid != 3',
    ]
    probes = [bp.probe(spec) for spec in specs]
    for transport in ("ring", "perf"):
        try:
            made = build_object(probes, machine(), live_engine(), Options(transport=transport))
        except MissingLibraryError as error:
            pytest.skip(f"needs libbcc: {error}")
        for variant in made.variants:
            for code in variant.programs:
                check_calls(code.program.name, code.instructions)
                assert not writes_context(code.instructions)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = build_object([bp.probe("kprobe:vfs_read count")], machine(), FakeEngine(), Options())
    path = tmp_path / "x.bpfo"
    path.write_bytes(encode_object_file(made))
    return path


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (call(109) + RETURN_0, "calls bpf_send_signal,"),
        (slot(0x7A, 1, 0, AX, 7) + RETURN_0, "writes to the registers of what it traces"),
    ],
)
def test_an_object_that_was_changed_is_refused_before_anything_is_loaded(
    path: Path, code: bytes, words: str
) -> None:
    """Its checksum is right: it tells damage, not intent."""
    file = read_object(path).file
    changed = [
        replace(v, programs=tuple(replace(c, instructions=code) for c in v.programs))
        for v in file.variants
    ]
    path.write_bytes(encode_object_file(replace(file, variants=tuple(changed))))
    engine = FakeEngine()
    session = bp.Session.from_file(path, target=machine(), engine=engine)
    with pytest.raises(LoadError, match=words):
        session.open()


def give_away(path: Path) -> None:
    os.chown(path, ALICE, ALICE)


@needs_root
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (give_away, "belongs to user 12345"),
        (lambda path: path.chmod(0o666), "can be written by others"),
        (lambda path: path.chmod(0o664), "can be written by others"),
    ],
    ids=["owner", "all", "group"],
)
def test_root_runs_no_object_that_others_can_write(path: Path, spoil: Any, words: str) -> None:
    spoil(path)
    with pytest.raises(ObjectError, match=words) as caught:
        bp.Session.from_file(path)
    assert caught.value.code == "OBJECT_OWNER"
    link = path.with_name("link.bpfo")
    link.symlink_to(path)
    with pytest.raises(ObjectError, match=words):
        bp.Session.from_file(link)
    assert bp.Session.from_file(path, trust_object=True).probes
    path.chmod(0o644)
    os.chown(path, 0, 0)
    assert bp.Session.from_file(path).probes
