from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import DebugSymbols
from bpfprobe.model.premise import Premise, PremiseKind
from bpfprobe.target import identity
from bpfprobe.target.files import Files
from bpfprobe.target.identity import boot_id, file_identity, module_identity, tracepoint_format
from bpfprobe.target.locator import LIBRARY_CACHE, Locator
from bpfprobe.target.premises import Witness, file_in_process, file_premises, holds, is_settled
from bpfprobe.testing import StaticTarget
from tests.sample_machine import MACHINE

HERE = Locator(Files(Path("/")), os.uname().machine)
KIND = PremiseKind


def test_a_file_is_another_one_after_any_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    first = file_identity(str(path))
    premise = Premise(KIND.FILE, str(path), first)
    assert holds(premise)
    status = path.stat()
    path.write_text("two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not holds(premise)
    (tmp_path / "b").write_text("two")
    (tmp_path / "b").rename(path)
    assert not holds(premise)
    path.unlink()
    assert file_identity(str(path)) == ""
    assert file_identity(str(tmp_path)) == ""
    assert file_identity("a\0b") == ""
    assert not holds(premise)


def test_a_file_must_have_been_there_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    premise = Premise(KIND.FILE, str(path), file_identity(str(path)))
    now_ns = time.time_ns()
    assert not is_settled(premise, now_ns)
    assert is_settled(premise, now_ns + 100_000_000)
    assert not is_settled(replace(premise, value=""), now_ns)
    assert is_settled(Premise(KIND.NO_FILE, "/a", ""), now_ns)
    assert not is_settled(Premise(KIND.MODULE, "a", ""), now_ns)
    assert not is_settled(Premise(KIND.TRACEPOINT, "a:b", ""), now_ns)


def test_a_plain_path_depends_on_its_file() -> None:
    (premise,) = file_premises("/bin/sh", "/bin/sh", None, 0, HERE)
    assert premise == Premise(KIND.FILE, "/bin/sh", file_identity("/bin/sh"))
    assert holds(premise)


def test_a_relative_path_depends_on_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/bin")
    found = list(file_premises("./sh", "/bin/sh", None, 0, HERE))
    assert [premise.kind for premise in found] == [KIND.FILE, KIND.FOLDER]
    assert all(holds(premise) for premise in found)
    monkeypatch.chdir(tmp_path)
    assert [holds(premise) for premise in found] == [True, False]


def test_a_bare_name_depends_on_what_would_be_found_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    path = str(HERE.locate("sh", None))
    assert path == "/bin/sh"
    found = list(file_premises("sh", path, None, 0, HERE))
    assert Premise(KIND.NO_FILE, f"{tmp_path}/sh", "") in found
    assert Premise(KIND.VARIABLE, "PATH", f"{tmp_path}:/bin") in found
    assert found[-1].name == LIBRARY_CACHE
    assert all(holds(premise) for premise in found)
    (tmp_path / "sh").write_text("")
    assert [p for p in found if not holds(p)] == [Premise(KIND.NO_FILE, f"{tmp_path}/sh", "")]
    monkeypatch.setenv("PATH", "/bin")
    assert not all(holds(p) for p in found if p.kind is KIND.VARIABLE)


def test_a_library_depends_on_the_programs_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/no/where:/bin")
    path = str(HERE.locate("c", None))
    found = list(file_premises("c", path, None, 0, HERE))
    absent = [premise.name for premise in found if premise.kind is KIND.NO_FILE]
    assert absent[:2] == ["/no/where/c", "/bin/c"]
    assert all(holds(premise) for premise in found)


def test_a_file_in_a_process() -> None:
    pid, path = os.getpid(), str(Path("/proc/self/exe").resolve())
    (premise,) = file_premises(path, path, pid, 3, HERE)
    assert premise == Premise(KIND.PROCESS_FILE, path, file_identity(path), 3)
    assert file_in_process(premise, pid) == path
    assert file_in_process(replace(premise, value="1 2 3 4 5"), pid) is None
    assert file_in_process(Premise(KIND.PROCESS_FILE, "/bin/true", ""), pid) is None
    assert file_in_process(premise, 1 << 22) is None
    other = Premise(KIND.PROCESS_FILE, "/etc/hostname", file_identity("/etc/hostname"))
    assert file_in_process(other, pid) is None, "it is not mapped"
    assert not holds(premise), "which process is meant is not known to it"


def test_a_witness_answers_and_remembers() -> None:
    witness = Witness(MACHINE)
    assert witness.facts() == MACHINE.facts()
    assert list(witness.premises()) == []
    assert witness.symbols("nf_ct_delete") == MACHINE.symbols("nf_ct_delete")
    witness.symbols("vfs_read")
    witness.struct("file", "")
    witness.prototype("x", "other")
    witness.tracepoint("sched", "sched_switch")
    witness.tracepoint("sched", "nothing")
    assert witness.is_whole
    assert witness.modules == {"nf_conntrack", "other"}
    assert [(p.kind, p.name) for p in witness.premises()] == [
        (KIND.MODULE, "nf_conntrack"),
        (KIND.MODULE, "other"),
        (KIND.TRACEPOINT, "sched:sched_switch"),
        (KIND.MODULES, ""),
    ]


def test_a_witness_knows_what_nothing_stands_for() -> None:
    for question, arguments in (("matching_tracepoints", ("*",)), ("mapped_files", (42,))):
        witness = Witness(MACHINE)
        getattr(witness, question)(*arguments)
        assert not witness.is_whole
        witness.facts()
        assert not witness.is_whole
    witness = Witness(MACHINE)
    witness.binary("bash")
    assert witness.files == {("bash", None): "/bin/bash"}
    assert witness.is_whole
    with pytest.raises(TargetError):
        witness.binary("/bin/broken", None)
    assert not witness.is_whole


def test_a_boot_has_a_name() -> None:
    assert len(boot_id()) == len("00000000-0000-0000-0000-000000000000")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of the kernel, as a test writes them."""
    monkeypatch.setattr(identity, "_MODULES", str(tmp_path / "modules"))
    monkeypatch.setattr(identity, "_TRACEFS", (str(tmp_path / "no"), str(tmp_path)))
    return tmp_path


def test_modules_by_their_names(fake: Path) -> None:
    (fake / "modules").write_text("b 1 2 - Live 0x0\na 1 0 - Live 0x0\n")
    premise = Premise(KIND.MODULES, "", "a b")
    assert holds(premise)
    (fake / "modules").write_text("b 1 3 - Live 0x0\na 1 1 - Live 0x0\n")
    assert holds(premise)
    (fake / "modules").write_text("b 1 3 - Live 0x0\na 1 1 - Live 0x0\nc 1 1 - Live 0x0\n")
    assert not holds(premise)


def test_a_tracepoint_by_its_format(fake: Path) -> None:
    (fake / "events/sched/x").mkdir(parents=True)
    (fake / "events/sched/x/format").write_text("ID: 7")
    assert tracepoint_format("sched:x") == b"ID: 7"
    premise = Premise(KIND.TRACEPOINT, "sched:x", "ID: 7")
    assert holds(premise)
    (fake / "events/sched/x/format").write_text("ID: 8")
    assert not holds(premise)
    assert tracepoint_format("../x:y") == tracepoint_format("sched:..") == b""


def test_a_module_by_what_is_loaded() -> None:
    assert module_identity("no_such_module") == ""
    assert module_identity("../kernel") == ""
    assert not holds(Premise(KIND.MODULE, "no_such_module", "1 2"))
    loaded = sorted(path.name for path in Path("/sys/module").iterdir())
    if loaded:  # a container may show none
        assert holds(Premise(KIND.MODULE, loaded[0], module_identity(loaded[0])))


def test_a_glob_in_a_stripped_file_depends_on_its_debug_file(tmp_path: Path) -> None:
    """What was kept of a start is no good once the file has come, or gone."""
    debug = tmp_path / "p.debug"
    debug.write_text("symbols")
    for symbols, wanted in (
        (DebugSymbols(True, "", str(debug)), [(KIND.FILE, str(debug))]),
        (DebugSymbols(True, "00" * 20), [(KIND.NO_FILE, DebugSymbols(True, "00" * 20).wanted)]),
        (DebugSymbols(False, "00" * 20), []),
    ):
        target = StaticTarget(binaries={"/bin/p": ["f"]}, debug_symbols={"/bin/p": symbols})
        witness = Witness(target)
        witness.matching_binary_symbols(target.binary("/bin/p"), "f*")
        assert witness.is_whole
        assert [(p.kind, p.name) for p in witness.premises()] == wanted
        assert all(holds(premise) for premise in witness.premises())
