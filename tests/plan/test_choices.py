from __future__ import annotations

from dataclasses import replace

import pytest

import bpfprobe as bp
from bpfprobe.model.object import MapKind
from bpfprobe.model.scalar import U64, X64
from bpfprobe.model.site import KernelSite, TracepointSite
from bpfprobe.model.value import (
    Argument,
    Builtin,
    BuiltinValue,
    Compare,
    GlobText,
    Kept,
    Load,
    MaskedText,
    Parameter,
    RegisterValue,
    Space,
    SyscallArgument,
)
from bpfprobe.plan.obstacles import refuse_obstacles
from bpfprobe.plan.pairing import MAX_KEPT
from tests.sample_machine import FACTS, MACHINE, NO, complaint, machine, one_plan, planned

MAYBE = replace(NO, present=None)
NO_KPROBES = machine(replace(FACTS, kprobes=NO))


@pytest.mark.parametrize(
    ("probe", "changes", "name", "obstacle"),
    [
        ("p untyped", {}, "kprobe", ""),
        ("p untyped", {"kprobes": MAYBE}, "kprobe", ""),
        ("p untyped", {"kprobes": NO}, "kprobe", "no kprobes (CONFIG_X is not set"),
        ("p untyped", {"kprobe_pmu": NO}, "kprobe", "the kprobe PMU is missing"),
        ("uprobe:bash:main", {}, "uprobe.multi", ""),
        ("uprobe:bash:main", {"uprobe_pmu": NO}, "uprobe.multi", "no uprobes"),
        ("uprobe:bash:main", {"uprobe_multi": NO}, "uprobe", ""),
        ("tracepoint:sched:sched_switch", {"kprobes": NO}, "tracepoint", ""),
        ("syscall:openat", {}, "kprobe", ""),
        ("syscall:openat", {"kprobes": NO}, "tracepoint", ""),
        ("syscall:openat", {"kprobe_pmu": NO}, "tracepoint", ""),
    ],
)
def test_the_mechanism_has_a_reason(
    probe: str, changes: dict[str, object], name: str, obstacle: str
) -> None:
    target = machine(replace(FACTS, **changes))  # type: ignore[arg-type]
    plan = planned(probe, target=target)
    choice = plan.probes[0].mechanism
    assert choice.name == name
    assert choice.because
    assert obstacle in choice.obstacle
    if obstacle:
        assert choice.way_out
        with pytest.raises(bp.AttachError) as caught:
            refuse_obstacles(plan)
        assert caught.value.code == f"NO_{name.partition('.')[0].upper()}S"
        assert caught.value.hint == choice.way_out
    else:
        refuse_obstacles(plan)


def test_what_was_turned_down_for_a_system_call_is_told() -> None:
    (down,) = one_plan("syscall:openat").mechanism.turned_down
    assert down.startswith("tracepoint: ")
    (down,) = one_plan("syscall:openat", NO_KPROBES).mechanism.turned_down
    assert down.startswith("kprobe: CONFIG_X")
    bare = machine(functions=["untyped"])
    (down,) = one_plan("syscall:openat", bare).mechanism.turned_down
    assert down == "kprobe: the kernel has no function of its own for it"


def test_sites_of_both_ways_to_a_system_call() -> None:
    probe = one_plan("r=syscall:openat retval")
    assert probe.site == KernelSite("__x64_sys_openat", returns=True)
    assert probe.pairing is not None
    assert probe.pairing.site == KernelSite("__x64_sys_openat")
    assert probe.pairing.by_frame
    probe = one_plan("r=syscall:openat retval filename", NO_KPROBES)
    assert isinstance(probe.site, TracepointSite)
    assert probe.site.name == "sys_exit_openat"
    assert probe.pairing is not None
    assert str(probe.pairing.site) == "tracepoint:syscalls:sys_enter_openat"
    assert not probe.pairing.by_frame
    assert probe.pairing.kept == (SyscallArgument(2),)
    assert one_plan("r=syscall:openat retval", NO_KPROBES).pairing is None
    without_tracefs = machine(tracepoints={})
    assert one_plan("syscall:openat", without_tracefs).site == KernelSite("__x64_sys_openat")


@pytest.mark.parametrize(
    ("transport", "ring_buffer", "ring", "obstacle"),
    [
        ("auto", FACTS.ring_buffer, True, False),
        ("ring", FACTS.ring_buffer, True, False),
        ("perf", FACTS.ring_buffer, False, False),
        ("auto", NO, False, False),
        ("perf", NO, False, False),
        ("ring", NO, False, True),
        ("auto", MAYBE, True, False),
    ],
)
def test_transport(transport: str, ring_buffer: object, ring: bool, obstacle: bool) -> None:
    target = machine(replace(FACTS, ring_buffer=ring_buffer))  # type: ignore[arg-type]
    plan = planned("p untyped", target=target, transport=transport)
    assert plan.uses_ring is ring
    assert plan.maps[0].kind is (MapKind.RINGBUF if ring else MapKind.PERF_EVENT_ARRAY)
    assert plan.transport.because
    assert bool(plan.transport.obstacle) is obstacle
    if obstacle:
        with pytest.raises(bp.AttachError) as caught:
            refuse_obstacles(plan)
        assert caught.value.code == "NO_RING_BUFFER"


@pytest.mark.parametrize(
    ("given", "made"), [(None, 2 << 20), (1, 4096), (4096, 4096), (4097, 8192), (100000, 131072)]
)
def test_a_buffer_is_a_power_of_two_pages(given: int | None, made: int) -> None:
    plan = planned("p untyped", buffer_bytes=given)
    assert plan.buffer_bytes == plan.maps[0].max_entries == made
    assert plan.wake_bytes == made // 4


def test_counters_have_a_key_for_each_probe() -> None:
    plan = planned("p untyped", "p vfs_read", "r vfs_write")
    assert (plan.maps[1].name, plan.maps[1].max_entries) == ("counters", 3)
    assert [probe.index for probe in plan.probes] == [0, 1, 2]


HOW = Argument(3, X64)
HOW_FLAGS = Load(HOW, 0, U64, Space.KERNEL, "open_how", "flags")


@pytest.mark.parametrize(
    ("text", "kept", "time", "faults"),
    [
        ("r vfs_read", (), False, False),
        ("r vfs_read $retval", (), False, False),
        ("r vfs_read duration", (), True, False),
        ("r vfs_read count", (Argument(3, U64),), False, False),
        ("r vfs_read count x=count y=count+1", (Argument(3, U64),), False, False),
        ("r vfs_read if count > 4", (Argument(3, U64),), False, False),
        ("r vfs_read if duration > 4", (), True, False),
        ("r do_sys_openat2 how->flags", (HOW,), False, False),
        ("r do_sys_openat2 entry(how->flags)", (HOW_FLAGS,), False, True),
        # what is kept whole does not hide that a part of it is needed by itself
        ("r do_sys_openat2 x=entry(how->flags)+how", (HOW_FLAGS, HOW), False, True),
        ("r do_sys_openat2 x=how+entry(how->flags)", (HOW, HOW_FLAGS), False, True),
        ("r eight g", (Load(RegisterValue("sp"), 8, Argument(1).type, Space.KERNEL),), False, True),
        ("uretprobe:bash:main $arg1", (Argument(1),), False, False),
    ],
)
def test_what_is_kept_from_entry(
    text: str, kept: tuple[object, ...], time: bool, faults: bool
) -> None:
    plan = planned(text)
    pairing = plan.probes[0].pairing
    assert pairing is not None
    if "eight" not in text:
        assert pairing.kept == kept
    assert (pairing.keeps_time, pairing.keeps_faults) == (time, faults)
    assert pairing.words == len(kept) + time + faults
    inflight = plan.maps[pairing.map_index]
    assert (inflight.kind, inflight.key_size) == (MapKind.LRU_HASH, 16)
    assert inflight.value_size == 8 * max(1, pairing.words)
    assert pairing.because


def test_a_return_that_needs_nothing_from_entry() -> None:
    assert one_plan("uretprobe:bash:main $retval").pairing is None
    assert one_plan("p vfs_read count").pairing is None
    pairing = one_plan("r vfs_read").pairing
    assert pairing is not None
    assert "counted" in pairing.because


def test_too_much_to_keep() -> None:
    texts = {f"c{n}": f"entry(file->marks[{n}])" for n in range(MAX_KEPT)}
    assert planned(bp.kretprobe("vfs_read", captures=texts))
    texts |= {"more": "entry(count)"}
    wrong = complaint(bp.kretprobe("vfs_read", captures=texts))
    assert wrong.code == "TOO_MANY_EARGS"
    assert wrong.hint


def test_the_size_of_the_memory_for_open_calls_is_an_option() -> None:
    plan = planned("r vfs_read duration", inflight=128)
    assert plan.maps[3].max_entries == 128


def test_guards_run_from_cheap_to_dear() -> None:
    filter_text = (
        'file->f_path.dentry->d_iname ~ "*x*" && file->f_flags == 1 && comm == "sh" && count > 2 '
        "&& pid == 7"
    )
    probe = one_plan(f"p vfs_read if {filter_text}", tid=3, uid=0, not_pid=9)
    pid, tid, uid = (BuiltinValue(b) for b in (Builtin.PID, Builtin.TID, Builtin.UID))
    assert [(g.operator, g.left, g.right.value) for g in probe.task_guards] == [  # type: ignore[union-attr]  # all of them compare
        ("!=", pid, 9),
        ("==", tid, 3),
        ("==", uid, 0),
        ("==", pid, 7),
    ]
    kinds = [type(guard) for guard in probe.guards]
    assert kinds == [Compare, MaskedText, Compare, GlobText]


def test_only_what_holds_on_entry_too_is_asked_there() -> None:
    probe = one_plan("r vfs_read if pid == 7 && cpu == 1 && uid == 2 && retval > 0")
    assert probe.task_guards == (Compare("==", BuiltinValue(Builtin.PID), Parameter(16, 7)),)
    assert len(probe.guards) == 3


def test_names_of_programs_are_short_and_differ() -> None:
    name = "a_very_long_name_of_an_event"
    probes = [bp.kretprobe("vfs_read", event=name, c="count") for _ in range(120)]
    plan = planned(*probes)
    names = [p.program for p in plan.probes] + [p.entry_program for p in plan.probes]
    assert len(set(names)) == 240
    assert max(len(n) for n in names) <= 15
    assert all(n.replace("_", "").isalnum() and n[0] in "pe" for n in names)
    assert names[0] == "p0_a_very_long_"[:15].rstrip("_")


def test_a_kept_value_is_told_apart_from_one_read_at_the_return() -> None:
    probe = one_plan("r do_sys_openat2 a=how->flags b=entry(how->flags)")
    assert [type(c.value) for c in probe.bound.captures] == [Load, Kept]
    assert MACHINE.facts() == FACTS


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('name ~ "*/nginx/*.conf"', True),
        (" || ".join(f'name ~ "*{n}"' for n in range(7)), True),
        (" || ".join(f'name ~ "*{n}"' for n in range(8)), False),
        ('name ~ "*abcdefghijklmnopqrstuvwxyz0123456789"', True),
        (" || ".join(f'comm ~ "*{n}"' for n in range(20)), True),
        (" || ".join(f'name ~ "{n}*"' for n in range(20)), True),
    ],
)
def test_globs_have_a_bound_that_the_verifier_sets(text: str, fits: bool) -> None:
    probe = bp.kprobe("open_it", filter=text)
    if fits:
        assert planned(probe)
    else:
        wrong = complaint(probe)
        assert wrong.code == "TOO_MANY_OPS"
        assert "plain text with one *" in (wrong.hint or "")
