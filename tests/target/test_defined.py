from __future__ import annotations

import pytest

from bpfprobe.model.defined import Maker
from bpfprobe.target.defined import (
    read_definitions,
    read_kprobes,
    read_uprobe_profile,
    with_counts,
    with_states,
)
from tests.tracing_root import KPROBES, LIST, PROFILE, UPROBES


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("p:my/ev vfs_read+16 a=%di b=%si", ("p", 0, "my", "ev", "vfs_read+16", "a=%di b=%si")),
        ("r64:kprobes/x vfs_read", ("r", 64, "kprobes", "x", "vfs_read", "")),
        ("p:u/x /bin/sh:0x50(0x10) a=%ax", ("p", 0, "u", "x", "/bin/sh:0x50(0x10)", "a=%ax")),
        ("e:e/x sched.sched_switch", ("e", 0, "e", "x", "sched.sched_switch", "")),
        ("s:synthetic/w u64 lat; int n", ("s", 0, "synthetic", "w", "", "u64 lat; int n")),
        ("t:tracepoints/kfree kfree ptr=ptr", ("t", 0, "tracepoints", "kfree", "kfree", "ptr=ptr")),
    ],
)
def test_a_line(line: str, expected: tuple[object, ...]) -> None:
    (event,) = read_definitions("kprobe_events", line)
    assert expected == (
        event.kind, event.maxactive, event.group, event.name, event.place, event.arguments,
    )  # fmt: skip
    assert event.line == line


@pytest.mark.parametrize("text", ["", "\n", "# tracer: nop\n", "p vfs_read\n", "x:a/b c\n", "p:\n"])
def test_what_is_no_definition(text: str) -> None:
    assert list(read_definitions("kprobe_events", text)) == []


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("kprobes/r_vfs_read_bcc_99", Maker("bcc", 99)),
        ("uprobes/p__bin_sh_0x50_bcc_1234567", Maker("bcc", 1234567)),
        ("kprobes/libbpf_99_0_vfs_open_0x0", Maker("libbpf", 99)),
        ("probe/vfs_read", Maker("perf probe")),
        ("probe_libc/malloc", Maker("perf probe")),
        ("sdt_libc/setjmp", Maker("perf probe")),
        ("bpfprobe/opened", Maker("bpfprobe")),
        ("mine/p_vfs_read_bcc_99", None),
        ("kprobes/_bcc_99", None),
        ("kprobes/p_x_bcc_0", None),
        ("kprobes/p_x_bcc_99_0", None),
        ("kprobes/p_x_bcc_", None),
        ("kprobes/myprobe", None),
        ("prober/x", None),
    ],
)
def test_who_made_it(name: str, maker: Maker | None) -> None:
    (event,) = read_definitions("kprobe_events", f"p:{name} vfs_read")
    assert event.maker == maker
    assert str(event) == name


def test_registered_kprobes() -> None:
    probes = list(read_kprobes(LIST + "nonsense\n"))
    assert [(p.place, p.returns, p.module, p.states) for p in probes] == [
        ("vfs_write+0x0", False, "", ("FTRACE",)),
        ("vfs_read+0x10", False, "", ("OPTIMIZED",)),
        ("vfs_read+0x0", True, "", ("DISABLED", "FTRACE")),
        ("nf_ct_delete+0x4", False, "nf_conntrack", ()),
        ("gone+0x0", False, "old", ("GONE",)),
    ]
    assert probes[0].address == 0xFFFFFFFF8134D3D0


def test_counts_go_by_order_where_groups_share_a_name() -> None:
    events = list(read_definitions("kprobe_events", "p:a/x f\np:b/x g\np:b/x h\n"))
    counted = with_counts(events, "  x  3  0\n  x  5  1\n  x  7  2\n", "")
    assert [(e.place, e.hits, e.misses) for e in counted] == [
        ("f", 3, 0),
        ("g", 5, 1),
        ("h", 7, 2),
    ]


def test_counts_of_both_profiles() -> None:
    events = [
        *read_definitions("kprobe_events", KPROBES),
        *read_definitions("uprobe_events", UPROBES),
    ]
    counted = {str(e): (e.hits, e.misses) for e in with_counts(events, PROFILE, "  /a b ev 9\n")}
    assert counted["my/ev"] == (23, 0)
    assert counted["kprobes/r_vfs_read_bcc_99"] == (41, 7)
    assert counted["kprobes/p_vfs_open_bcc_100"] == (None, None)
    assert counted["sdt_libc/setjmp"] == (None, None)
    assert list(read_uprobe_profile("  /a path with blanks/x ev 9\nshort 1\n")) == [("ev", 9)]


@pytest.mark.parametrize(
    ("line", "states"),
    [
        ("p:a/x vfs_write", ("FTRACE",)),
        ("p:a/x vfs_read+16", ("OPTIMIZED",)),
        ("r:a/x vfs_read", ("DISABLED", "FTRACE")),
        ("p:a/x nf_conntrack:nf_ct_delete+4", ()),
        ("p:a/x 0xffffffffc0000000", ()),
        ("p:a/x vfs_read", None),
        ("p:a/x vfs_fsync", ("FTRACE",)),  # behind its endbr64
        ("p:a/x vfs_fsync+4", ("FTRACE",)),
        ("r:a/x vfs_write", None),
    ],
)
def test_the_state_of_the_kprobe_behind_an_event(line: str, states: tuple[str, ...]) -> None:
    events = list(read_definitions("kprobe_events", line))
    registered = list(read_kprobes(f"{LIST}ff10  k  vfs_fsync+0x4    [FTRACE]\n"))
    (event,), rest = with_states(events, registered)
    assert event.states == states
    assert len(rest) == len(registered) - (states is not None)


def test_of_two_probes_at_a_place_the_armed_one_is_of_the_event_that_is_enabled() -> None:
    from dataclasses import replace

    first, second = read_definitions("kprobe_events", "p:a/x f\np:a/y f\n")
    registered = list(read_kprobes("f0  k  f+0x0  [DISABLED]\nf0  k  f+0x0\nf0  k  f+0x0\n"))
    events = [replace(first, enabled=False), replace(second, enabled=True)]
    told, rest = with_states(events, registered)
    assert [event.states for event in told] == [("DISABLED",), ()]
    assert [probe.states for probe in rest] == [()]
