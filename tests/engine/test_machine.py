from __future__ import annotations

import resource

import pytest

from bpfprobe.engine import bpf, privilege
from bpfprobe.engine.cpus import parse_cpu_list
from bpfprobe.engine.privilege import CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, Privileges


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0\n", (0,)),
        ("0-3\n", (0, 1, 2, 3)),
        ("0-1,4,6-7\n", (0, 1, 4, 6, 7)),
    ],
)
def test_cpu_lists(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == numbers


@pytest.mark.parametrize("text", ["", "\n", "a-b", "0-"])
def test_no_cpu_list(text: str) -> None:
    if text == "0-":
        assert parse_cpu_list(text) == (0,)
        return
    with pytest.raises(ValueError, match="invalid literal"):
        parse_cpu_list(text)


@pytest.mark.parametrize(
    ("release", "charges"),
    [
        ("5.10.0-33-amd64", True),
        ("5.4.0", True),
        ("4.19.1", True),
        ("5.11.0-rc1", False),
        ("6.18.44-fc-v657", False),
        ("odd", False),
    ],
)
def test_who_charges_locked_memory(release: str, charges: bool) -> None:
    assert privilege.charges_memlock(release) is charges


def test_a_newer_kernel_leaves_the_limit_alone() -> None:
    before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    assert not privilege.raise_memlock("6.1.0")
    assert resource.getrlimit(resource.RLIMIT_MEMLOCK) == before


@pytest.mark.parametrize(
    ("numbers", "may"),
    [
        ((), False),
        ((CAP_BPF,), False),
        ((CAP_BPF, CAP_PERFMON), True),
        ((CAP_SYS_ADMIN,), True),
    ],
)
def test_who_may_load(numbers: tuple[int, ...], may: bool) -> None:
    mask = sum(1 << number for number in numbers)
    assert Privileges(mask, "none", None).may_load is may


def test_this_process_can_be_read() -> None:
    assert privilege.read_privileges().capabilities >= 0


@pytest.mark.parametrize(
    ("name", "kept"),
    [("counts", b"counts"), ("a" * 20, b"a" * 15), ("a b-c", b"a_b_c"), ("é", b"_")],
)
def test_object_names(name: str, kept: bytes) -> None:
    assert bpf.object_name(name) == kept
