"""`LiveTarget` on the machine that runs the tests: it reads, and needs no privilege."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpfprobe.errors import MissingLibraryError, TargetError
from bpfprobe.model.ktype import KPointer, KStruct
from bpfprobe.target.btf import BtfTypes
from bpfprobe.target.checks import examine
from bpfprobe.target.elf import ElfFile, InMemory
from bpfprobe.target.libbpf_btf import load_libbpf
from bpfprobe.target.live import LiveTarget
from bpfprobe.testing import RecordedTarget, record_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfprobe.model.machine import Binary

VMLINUX = Path("/sys/kernel/btf/vmlinux")

PROGRAM = """
#include <stdio.h>
static int __attribute__((noinline)) hidden(int n) { return n + 1; }
int __attribute__((noinline)) visible(int n) { return hidden(n) * 2; }
int data_not_code = 3;
int main(void) { puts("ready"); fflush(stdout); getchar(); return visible(1) == 0; }
"""


def have_btf() -> bool:
    try:
        load_libbpf()
    except MissingLibraryError:
        return False
    return os.access(VMLINUX, os.R_OK)


needs_btf = pytest.mark.skipif(not have_btf(), reason=f"needs libbpf.so.1 and {VMLINUX}")
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc to make ELF files")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture(scope="module")
def target() -> LiveTarget:
    return LiveTarget()


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    directory = tmp_path_factory.mktemp("elf")

    def run(name: str, *flags: str) -> Path:
        path = directory / name
        if not path.exists():
            source = directory / "program.c"
            source.write_text(PROGRAM)
            subprocess.run(["gcc", "-O1", "-o", path, *flags, source], check=True)
        return path

    return run


FLAVOURS = {
    "pie": ["-pie", "-fPIE"],
    "fixed": ["-no-pie"],
    "library.so": ["-shared", "-fPIC"],
    "static": ["-static"],
}


def nm(path: Path, name: str) -> int:
    """The address of a function as binutils has it."""
    out = subprocess.run(["nm", path], check=True, capture_output=True, text=True).stdout
    lines = (line.split() for line in out.splitlines())
    return next(int(words[0], 16) for words in lines if words[-1] == name)


@needs_gcc
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", ["hidden", "visible", "main"])
def test_functions_stand_where_the_bytes_are(
    target: LiveTarget, build: Callable[..., Path], flavour: str, name: str
) -> None:
    path = build(flavour, *FLAVOURS[flavour])
    binary = target.binary(str(path))
    (symbol,) = target.binary_symbols(binary, name)
    assert symbol.address == nm(path, name)
    # The same bytes, found by the address through objdump.
    dump = subprocess.run(
        ["objdump", "-d", f"--start-address={symbol.address:#x}",
         f"--stop-address={symbol.address + 4:#x}", path],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    lines = (line.strip() for line in dump.splitlines())
    line = next(line for line in lines if line.startswith(f"{symbol.address:x}:"))
    first = line.split("\t")[1].split()
    at = symbol.offset
    assert path.read_bytes()[at : at + len(first)] == bytes(int(byte, 16) for byte in first)


@needs_gcc
def test_a_stripped_library_keeps_what_it_exports(
    target: LiveTarget, build: Callable[..., Path]
) -> None:
    path = build("stripped.so", "-shared", "-fPIC", "-s")
    binary = target.binary(str(path))
    assert len(target.binary_symbols(binary, "visible")) == 1
    assert target.binary_symbols(binary, "hidden") == ()
    assert target.binary_symbols(binary, "data_not_code") == ()
    assert target.similar_binary_symbols(binary, "visble")[0] == "visible"


@pytest.fixture
def running(build: Callable[..., Path]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [build("pie", *FLAVOURS["pie"])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@needs_gcc
def test_a_process_and_what_it_has_mapped(
    target: LiveTarget, build: Callable[..., Path], running: subprocess.Popen[str]
) -> None:
    pid = running.pid
    own: Binary = target.binary(str(build("pie")), pid)
    libc = target.binary("c", pid)
    other = target.binary(str(build("fixed", *FLAVOURS["fixed"])))
    assert target.process_maps_binary(pid, own)
    assert target.process_maps_binary(pid, libc)
    assert not target.process_maps_binary(pid, other)
    assert target.binary("pie", pid) == own
    assert len(target.binary_symbols(libc, "malloc")) == 1


@needs_gcc
def test_a_copy_of_the_file_is_another_file(
    target: LiveTarget, build: Callable[..., Path], running: subprocess.Popen[str], tmp_path: Path
) -> None:
    copy = tmp_path / "pie"
    shutil.copy(build("pie"), copy)
    assert not target.process_maps_binary(running.pid, target.binary(str(copy)))


def test_a_process_that_is_not_there(target: LiveTarget) -> None:
    gone = 1 << 22  # the most that pid_max can be, which no process gets
    for ask in (
        lambda: target.binary("c", gone),
        lambda: target.binary("/bin/sh", gone),
        lambda: target.process_maps_binary(gone, target.binary("/bin/sh")),
    ):
        with pytest.raises(TargetError) as caught:
            ask()
        assert caught.value.code == "NO_PROCESS"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nowhere", "NO_FILE"),
        ("no-program-has-this-name", "NO_FILE"),
        ("", "NO_FILE"),
        ("/tmp/\0", "NO_FILE"),
        ("/", "NOT_REGULAR"),
        ("/dev/zero", "NOT_REGULAR"),
        ("/etc/passwd", "NOT_ELF"),
        ("/proc/self/maps", "NOT_REGULAR"),
    ],
)
def test_what_is_no_binary(target: LiveTarget, path: str, code: str) -> None:
    with pytest.raises(TargetError) as caught:
        target.binary(path)
    assert caught.value.code == code


def test_the_shell_is_found_as_the_shell_finds_it(target: LiveTarget) -> None:
    assert target.binary("sh").path == shutil.which("sh")
    assert "/libc.so.6" in target.binary("libc").path


@needs_gcc
@settings(
    max_examples=60, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_program_is_told_in_our_words(
    build: Callable[..., Path], data: st.DataObject
) -> None:
    content = bytearray(build("pie", *FLAVOURS["pie"]).read_bytes())
    tables = int.from_bytes(content[40:48], "little")
    places = st.integers(0, 1200) | st.integers(tables, len(content) - 1)
    changes = data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8))
    for offset, value in changes:
        content[offset] = value
    cut = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    code = ""
    started = time.monotonic()
    try:
        elf = ElfFile(InMemory(bytes(content[:cut])), "/bin/x")
        for name in elf.functions.matching("*"):
            elf.functions.named(name)
    except TargetError as error:
        code = error.code
    assert code in ("", "NOT_ELF", "TRUNCATED_ELF", "IFUNC")
    assert time.monotonic() - started < 2


@needs_btf
def test_types_of_this_kernel(target: LiveTarget) -> None:
    prototype = target.prototype("vfs_read")
    assert prototype is not None
    assert str(prototype) == (
        "ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)"
    )
    file = prototype.parameters[0].type
    assert isinstance(file, KPointer)
    assert file.target == target.struct("file")
    assert isinstance(file.target, KStruct)
    members = {member.name: member for member in target.members(file.target)}
    assert members["f_pos"].type.spelling == "loff_t"
    assert all(m.offset + m.type.size <= file.target.size for m in members.values())
    assert target.similar_structs("task_strct")[0] == "task_struct"


@needs_btf
def test_every_type_of_this_kernel_can_be_read() -> None:
    types = BtfTypes.from_file(VMLINUX)
    names = types.raw.struct_names
    assert len(names) > 1000
    for name in names[::7]:
        found = types.struct(name)
        assert found is not None
        for member in types.members(found.type_id):
            assert member.offset <= found.size
            assert member.type.spelling


def test_names_of_this_kernel(target: LiveTarget) -> None:
    (symbol,) = target.symbols("vfs_read")
    assert symbol.is_text
    assert "vfs_read" in target.matching_functions("vfs_r*")
    assert target.symbols("vfs_raed") == ()
    started = time.monotonic()
    assert target.similar_functions("vfs_raed")[0] == "vfs_read"
    assert time.monotonic() - started < 5  # half a second at the very worst here


def test_facts_carry_their_evidence(target: LiveTarget) -> None:
    facts = target.facts()
    uname = os.uname()
    assert (facts.arch, facts.release) == (uname.machine, uname.release)
    assert facts.cpus >= 1
    for name in facts.__dataclass_fields__:
        answer = getattr(facts, name)
        assert getattr(answer, "evidence", "there")
    assert facts is target.facts()


def test_the_doctor_sees_this_machine(target: LiveTarget) -> None:
    examination = examine()
    by_name = {check.name: check for check in examination.checks}
    assert by_name["kprobes"].present is target.facts().kprobes.present
    assert examination.verdict


@needs_btf
def test_this_machine_in_a_file(target: LiveTarget, tmp_path: Path) -> None:
    recording = record_target(target)
    asked = [
        recording.facts(),
        recording.prototype("vfs_read"),
        recording.binary("sh"),
        recording.symbols("vfs_read"),
    ]
    recording.write(tmp_path / "here.json.gz")
    recorded = RecordedTarget.load(tmp_path / "here.json.gz")
    assert asked == [
        recorded.facts(),
        recorded.prototype("vfs_read"),
        recorded.binary("sh"),
        recorded.symbols("vfs_read"),
    ]
