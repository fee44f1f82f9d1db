"""``list`` shows what can be probed here; with -a the rest too, each with the reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bpfprobe.cli.listing import list_points
from bpfprobe.errors import TargetError
from bpfprobe.model.machine import Answer
from bpfprobe.testing import StaticTarget
from tests.sample_machine import FACTS

GIVEN = {
    "functions": [
        "ssize_t vfs_read(struct file *file, size_t count)",
        "vfs_write",
        "vfs_open",
        "vfs_open",
        "vfs_stat",
        "bool vfs_delete(struct nf_conn *ct) [ext4]",
        "vfs_delete",
    ],
    "tracepoints": {"sched:vfs_switch": ["pid_t prev_pid"]},
    "blacklisted": {"vfs_write"},
    "untraceable": {"vfs_stat"},
}
TARGET = StaticTarget(facts=FACTS, **GIVEN)  # type: ignore[arg-type]  # of several types
WITHOUT = StaticTarget(
    facts=replace(FACTS, kprobes=Answer(False, "built without CONFIG_KPROBES")),
    **GIVEN,  # type: ignore[arg-type]  # of several types
)
OFF = StaticTarget(
    facts=replace(FACTS, kprobes=Answer(False, "enabled is 0", "`echo 1 > enabled` arms them")),
    **GIVEN,  # type: ignore[arg-type]  # of several types
)


@pytest.mark.parametrize(
    ("pattern", "lines", "count"),
    [
        ("kprobe:*", ["kprobe:vfs_read"], 4),
        ("kretprobe:vfs_*", ["kretprobe:vfs_read"], 4),
        ("kprobe:vfs_r*", ["kprobe:vfs_read"], None),
        ("kprobe:ext4:*", ["kprobe:ext4:vfs_delete"], None),
        ("vfs_*", ["kprobe:vfs_read", "tracepoint:sched:vfs_switch"], 4),
    ],
)
def test_only_what_can_be_probed(pattern: str, lines: list[str], count: int | None) -> None:
    left_out: list[int] = []
    assert list(list_points(pattern, TARGET, left_out=left_out.append)) == lines
    assert left_out == ([count] if count else [])


def test_all_with_the_reasons() -> None:
    assert list(list_points("kprobe:*", TARGET, left_out=None)) == [
        "kprobe:vfs_delete  (not the only one: 2 functions have this name)",
        "kprobe:vfs_open  (not the only one: 2 functions have this name)",
        "kprobe:vfs_read",
        "kprobe:vfs_stat  (not traceable: ftrace cannot reach it (notrace, or too small))",
        "kprobe:vfs_write  (blacklisted: the kernel forbids kprobes here)",
    ]


@pytest.mark.parametrize(
    ("target", "pattern", "said", "hint"),
    [
        (TARGET, "kprobe:vfs_w*", "vfs_write cannot be probed: blacklisted", "list -a"),
        (TARGET, "kprobe:vfs_[sw]*", "vfs_stat cannot be probed: not traceable", "list -a"),
        (WITHOUT, "kprobe:*", "5 functions fit, and none can be probed: no kprobes here: built wit",
         "bpfprobe lab"),
        (WITHOUT, "vfs_read", "1 function fits, and none can be probed", "list -a"),
        (OFF, "kretprobe:vfs_r*", "no kprobes here: enabled is 0", "`echo 1 > enabled` arms them"),
    ],
)  # fmt: skip
def test_where_nothing_can_be_probed(
    target: StaticTarget, pattern: str, said: str, hint: str
) -> None:
    with pytest.raises(TargetError) as caught:
        list(list_points(pattern, target))
    assert said in caught.value.message
    assert (caught.value.code, hint in (caught.value.hint or "")) == ("NOT_HERE", True)


def test_tracepoints_are_listed_on_a_kernel_without_kprobes() -> None:
    left_out: list[int] = []
    lines = list(list_points("vfs_*", WITHOUT, left_out=left_out.append))
    assert (lines, left_out) == (["tracepoint:sched:vfs_switch"], [5])
