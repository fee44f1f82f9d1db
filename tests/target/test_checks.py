from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bpfprobe.model.machine import Answer
from bpfprobe.target.checks import examine, kernel, libraries, privilege
from bpfprobe.target.checks.examination import conclude
from bpfprobe.target.files import Files, Reading
from bpfprobe.testing.static_target import FACTS

if TYPE_CHECKING:
    from pathlib import Path

INITIAL = "0 0 4294967295"
ROOT = privilege.ProcessStatus((1 << 41) - 1, 0)
NOBODY = privilege.ProcessStatus(0, 0)


def said(text: str) -> Reading:
    return Reading("/x", text.encode())


def test_status() -> None:
    status = privilege.read_status("Name:\tx\nCapEff:\t000000c000000000\nSeccomp:\t2\n")
    assert status.has("CAP_BPF", "CAP_PERFMON")
    assert not status.has("CAP_SYS_ADMIN")
    assert status.seccomp == 2
    assert status.may_load
    assert privilege.read_status("") == privilege.ProcessStatus(None, None)


@pytest.mark.parametrize(
    ("status", "uid_map", "present", "text"),
    [
        (ROOT, INITIAL, True, "CAP_SYS_ADMIN"),
        (ROOT, "0 1000 1", False, "user namespace"),
        (NOBODY, INITIAL, False, "socket filters"),
        (privilege.ProcessStatus(1 << 39, 0), INITIAL, False, "CAP_BPF"),
        (privilege.ProcessStatus(1 << 39 | 1 << 38, 0), INITIAL, True, "CAP_PERFMON"),
        (privilege.ProcessStatus(None, None), "", None, "names no capabilities"),
    ],
)
def test_privilege(
    status: privilege.ProcessStatus, uid_map: str, present: bool | None, text: str
) -> None:
    check = privilege.capabilities(status, uid_map, said("0"))
    assert check.present is present
    assert text in check.evidence
    assert bool(check.way_out) is (present is not True)


def test_limits_and_filters() -> None:
    small = said("Max locked memory         65536                65536                bytes")
    free = said("Max locked memory         unlimited            unlimited            bytes")
    assert privilege.memlock(NOBODY, small).present is None
    assert "64 kB" in privilege.memlock(NOBODY, small).evidence
    assert privilege.memlock(ROOT, small).present is True
    assert privilege.memlock(NOBODY, free).present is True
    assert privilege.seccomp(ROOT).present is True
    assert privilege.seccomp(privilege.ProcessStatus(0, 2)).present is None
    assert privilege.perf_paranoid(ROOT, said("4")).present is True
    assert privilege.perf_paranoid(NOBODY, said("2")).present is False
    assert privilege.perf_paranoid(NOBODY, said("-1")).present is True


@pytest.mark.parametrize(
    ("answer", "present"),
    [
        (Answer(False, "none (/x)"), True),
        (Answer(True, "integrity (/x)"), True),
        (Answer(True, "confidentiality (/x)"), False),
        (Answer(None, "/x: no"), None),
    ],
)
def test_only_confidentiality_stands_in_the_way(answer: Answer, present: bool | None) -> None:
    assert kernel.lockdown(answer).present is present


def test_hidden_addresses() -> None:
    check = kernel.kernel_addresses(said("2"), hidden=True)
    assert check.present is False
    assert "kptr_restrict=2" in check.evidence
    assert "by name work" in check.way_out
    assert kernel.kernel_addresses(said("0"), hidden=False).present is True


def install(directory: Path, real: str, *links: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / real).write_text("")
    for link in links:
        (directory / link).symlink_to(real)


def test_a_library_once_twice_never(tmp_path: Path) -> None:
    files = Files(tmp_path)

    def check() -> tuple[bool | None, str]:
        found = libraries.find_libraries(files, "libbcc.so.0", "x86_64")
        made = libraries.library("libbcc.so.0", found, "it compiles", "libbpfcc")
        return made.present, made.evidence

    assert check()[0] is False
    install(tmp_path / "usr/lib/x86_64-linux-gnu", "libbcc.so.0.26.0", "libbcc.so.0")
    assert check() == (True, "/usr/lib/x86_64-linux-gnu/libbcc.so.0 -> libbcc.so.0.26.0")
    install(tmp_path / "usr/local/lib", "libbcc.so.0.31.0", "libbcc.so.0")
    present, evidence = check()
    assert present is None
    assert "more than once" in evidence


def package(root: Path, init: str, version: str = "") -> Path:
    (root / "bcc").mkdir(parents=True)
    (root / "bcc/__init__.py").write_text(init)
    if version:
        (root / "bcc/version.py").write_text(f"__version__ = '{version}'\n")
    return root


BINDING = "import os\nclass BPF(object):\n    pass\n"


@pytest.mark.parametrize(
    ("init", "version", "library", "present", "text"),
    [
        (BINDING, "0.26.0", "0.26.0", True, "bcc 0.26.0"),
        (BINDING, "0.31.0", "0.26.0", False, "but libbcc is 0.26.0"),
        (BINDING, "0.31.0", "", True, "bcc 0.31.0"),
        ("from bcc.lattice import BCC\n__version__ = '0.1.10'\n", "", "0.26.0", False, "lattices"),
    ],
)
def test_the_package_named_bcc(
    tmp_path: Path, init: str, version: str, library: str, present: bool, text: str
) -> None:
    bindings = libraries.find_bindings([tmp_path / "none", package(tmp_path, init, version)])
    check = libraries.python_binding(bindings, [libraries.Library("/x", library)])
    assert check.present is present
    assert text in check.evidence


def test_no_binding_is_no_fault() -> None:
    assert libraries.python_binding([], []).present is True


def test_the_verdict() -> None:
    no = Answer(False, "built without CONFIG_KPROBES")
    works, text = conclude(FACTS, True, True)
    assert works
    assert text == "kprobes, uprobes, tracepoints can be attached here"
    works, text = conclude(replace(FACTS, kprobes=no), True, True)
    assert works
    assert "kprobes: no (built without CONFIG_KPROBES) -> `bpfprobe lab -- COMMAND`" in text
    assert not conclude(replace(FACTS, kprobes=no, uprobe_pmu=no), True, True)[0]
    works, text = conclude(FACTS, False, True)
    assert not works
    assert "by root" in text
    works, text = conclude(FACTS, True, False)
    assert not works
    assert "apt install libbpfcc" in text


def test_an_empty_root_is_examined_whole(tmp_path: Path) -> None:
    examination = examine(tmp_path, search=[])
    assert not examination.works
    names = [check.name for check in examination.checks]
    assert len(names) == len(set(names))
    assert {"privilege", "kprobes", "libbcc.so.0", "BTF"} <= set(names)
