"""A function of a module that is not loaded is refused for that, with the command that loads it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.engine.attach_errors import explain
from bpfprobe.engine.privilege import read_privileges
from bpfprobe.model.machine import Symbol
from bpfprobe.model.site import KernelSite
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import KernelPoint
from bpfprobe.parse.any_dialect import parse_description
from bpfprobe.resolve.sites import kernel_site
from bpfprobe.target.live import LiveTarget

if TYPE_CHECKING:
    from pathlib import Path

KALLSYMS = (
    "ffffffff81000000 T key_validate\n"
    "ffffffffc0000000 t early_f\t[early]\n"
    "ffffffffc0001000 t late_f\t[late]\n"
    "ffffffffc0001100 t late_quiet\t[late]\n"
    "ffffffffc0002000 t bpf_prog_1_f\t[bpf]\n"
)
FILES = {
    "/proc/kallsyms": KALLSYMS,
    "/proc/mounts": "tracefs /trace tracefs rw 0 0\n",
    "/proc/sys/kernel/osrelease": "6.1.0\n",
    "/trace/available_filter_functions": "key_validate\nlate_f [late]\n",
    "/trace/available_events": "sched:x\n",
    "/sys/module/late/initstate": "live\n",
    "/sys/module/early/initstate": "coming\n",
    "/sys/module/ext4/parameters": "",
    "/lib/modules/6.1.0/modules.dep": "kernel/lib/dummy.ko:\nkernel/nf-nat.ko.xz: kernel/x.ko\n",
    "/lib/modules/6.1.0/modules.builtin": "kernel/fs/ext4/ext4.ko\n",
}


@pytest.fixture
def target(tmp_path: Path) -> LiveTarget:
    for name, content in FILES.items():
        path = tmp_path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return LiveTarget(tmp_path)


@pytest.mark.parametrize(
    ("place", "message", "hint"),
    [
        ("dummy:dummy_validate", "the module dummy is not loaded", "modprobe dummy"),
        ("nf-nat:nf_nat_setup", "the module nf_nat is not loaded", "modprobe nf_nat"),
        ("dummy:late_f", "the module dummy is not loaded", "did you mean late:late_f?"),
        ("early:late_g", "the module early is coming", "try again"),
        ("ext4:key_validate", "ext4 is built into this kernel, and not a module of it",
         "did you mean key_validate?"),
        ("dumy:dummy_validate", "there is no module dumy in /lib/modules/6.1.0", "bpfprobe list"),
        ("late:key_validate", "module late has no function key_validate", "the kernel itself"),
    ],
)  # fmt: skip
def test_the_module_is_named(target: LiveTarget, place: str, message: str, hint: str) -> None:
    parsed = parse_description(SourceText(f"kprobe:{place}"))
    assert isinstance(parsed.point, KernelPoint)
    with pytest.raises(bp.SpecError) as caught:
        kernel_site(parsed.point, parsed.point_span, target)
    assert (caught.value.message, caught.value.code) == (message, "BAD_PROBE_ADDR")
    assert hint in (caught.value.hint or "")


def test_where_no_list_of_modules_can_be_read(target: LiveTarget, tmp_path: Path) -> None:
    (tmp_path / "lib/modules/6.1.0/modules.dep").unlink()
    answer = target.module("dummy")
    assert (answer.present, answer.way_out) == (None, "modprobe dummy")


def test_functions_of_a_module_that_comes_or_goes_are_not_judged(target: LiveTarget) -> None:
    names = ("early_f", "late_f", "late_quiet", "bpf_prog_1_f")
    assert [target.is_traceable(name) for name in names] == [None, True, False, False]


def test_the_kernels_own_refusal_names_the_race() -> None:
    site = KernelSite("dummy_validate", module="dummy")
    error = explain(site, OSError(errno.EINVAL, "x"), read_privileges())
    assert "module dummy is being loaded or unloaded, or" in str(error)
    assert "/sys/module/dummy/initstate" in str(error)


def test_symbols_of_modules() -> None:
    modules = ("", "bpf", "__builtin__ftrace", "dummy")
    assert [Symbol("f", 0, "t", m).is_of_module for m in modules] == [False, False, False, True]
