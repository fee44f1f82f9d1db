"""Messages, rows of trace(8), lines of ftrace: values -> text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.deliver.clock import WallClock
from bpfprobe.deliver.decode import Decoder
from bpfprobe.deliver.front import Front
from bpfprobe.deliver.ftrace import FtraceLines, Spot, place_text
from bpfprobe.deliver.message import location_text, message_text
from bpfprobe.deliver.stack import stack_lines
from bpfprobe.deliver.table import Table
from bpfprobe.deliver.trace8 import MessageTable, Tally
from bpfprobe.model.message import Message
from bpfprobe.model.symbol import Location
from bpfprobe.probes import Probe
from bpfprobe.testing import pack_record
from tests.sample_machine import compiled

if TYPE_CHECKING:
    from bpfprobe.model.event import Event

CLOCK = WallClock(1_000_000_000_000_000_000)


class Names:
    """A symbolizer of few names."""

    def kernel(self, address: int) -> Location | None:
        return {
            0xFFFF0010: Location("vfs_read", 0x10, 0x320),
            0xFFFF1001: Location("nf_ct", 1, 0x40, "nf_conntrack"),
        }.get(address)

    def user(self, pid: int, address: int) -> Location | None:
        assert pid == 42
        return {
            0x400: Location("main", 0x4, 0x50, "/usr/bin/ls"),
            0x500: Location("", 0x77, 0, "/usr/lib/libc.so.6"),
        }.get(address)


def made(text: str, *, captures: tuple[tuple[str, str], ...] = (), **values: Any) -> Event:
    probe = bp.probe(text)
    described = Probe(replace(probe.description, captures=captures))
    layout = compiled(described).plan.probes[0].layout
    common = {"pid": 42, "tid": 43, "cpu": 1, "time": 5_000_001_000, "comm": "cat"}
    return Decoder([layout]).event(pack_record(layout, **common | values))


def message_of(text: str, **values: Any) -> str:
    spec = bp.probe(text).spec
    assert spec.message is not None
    return message_text(spec.message, made(text, **values), Names())


@pytest.mark.parametrize(
    ("text", "values", "shown"),
    [
        ('vfs_read "%d|%5d|%-5d|%05d|%+d", arg3, arg3, arg3, arg3, arg3',
         {"arg3": -7, "arg3_1": -7, "arg3_2": -7, "arg3_3": -7, "arg3_4": 7},
         "-7|   -7|-7   |-0007|+7"),
        ('vfs_read "%x %#llx %u", arg3, arg3, arg3',
         {"arg3": 0xFFFFFFFF, "arg3_1": 1 << 63, "arg3_2": 4294967295},
         "ffffffff 0x8000000000000000 4294967295"),
        ('c:malloc "[%s] [%6s] [%-6s] [%.2s]", arg1, arg1, arg1, arg1',
         {"arg1": "ab\x1b", "arg1_1": "abc", "arg1_2": "abc", "arg1_3": "abc"},
         r"[ab\x1b] [   abc] [abc   ] [ab]"),
        ('c:malloc "%c%c%c", arg1, arg1, arg1',
         {"arg1": 65, "arg1_1": 10, "arg1_2": 0}, r"A\n\x00"),
        ('vfs_read "%K %K %K", arg1, arg2, arg3',
         {"arg1": 0xFFFF0010, "arg2": 0xFFFF1001, "arg3": 1},
         "vfs_read+0x10 nf_ct+0x1 [unknown]"),
        ('c:malloc "%U %U %U", arg1, arg2, arg3',
         {"arg1": 0x400, "arg2": 0x500, "arg3": 1},
         "main+0x4 [ls] [unknown] [libc.so.6] [unknown]"),
        ('c:malloc "50%% of \\n %-9s|", arg1', {"arg1": None}, "50% of \\n (fault)  |"),
        ("vfs_read \"\x1b[31m\\x41\"", {}, "\\x1b[31m\\x41"),
    ],
)  # fmt: skip
def test_messages(text: str, values: dict[str, Any], shown: str) -> None:
    assert message_of(text, **values) == shown


def rows(text: str, event: Event, **columns: Any) -> list[str]:
    message = bp.probe(text).spec.message
    assert message is not None
    chosen = replace(Front(CLOCK, 5_000_000_000), **columns)
    found = MessageTable({type(event): message}, chosen, Names()).rows(event)
    return found.split("\n")


def test_a_row_and_its_header() -> None:
    text = 'vfs_read "%d bytes", arg3'
    event = made(text, arg3=12)
    assert rows(text, event) == ["42      43      cat             vfs_read         12 bytes"]
    for columns, header, row in [
        ({}, "PID     TID     COMM            FUNC             -", "42 "),
        ({"time": "offset"}, "TIME     PID ", "0.000001 42 "),
        ({"time": "unix"}, "TIME              PID ", "1000000005.000001 42 "),
        ({"cpu": True}, "CPU PID ", "1   42 "),
        ({"cpu": True, "time": "offset"}, "TIME     CPU PID ", "0.000001 1   42 "),
    ]:
        chosen = replace(Front(CLOCK, 5_000_000_000), **columns)  # type: ignore[arg-type]
        table = MessageTable({type(event): bp.probe(text).spec.message or Message("")}, chosen,
                             Names())  # fmt: skip
        assert table.header().startswith(header)
        assert table.rows(event).startswith(row)


def test_hostile_names_stay_off_the_terminal() -> None:
    text = 'c:malloc "%s", arg1'
    (line,) = rows(text, made(text, arg1="\x1b]0;x\a\n", comm="a\x1b[1m\n"))
    assert line.isprintable()
    assert r"\x1b]0;x\x07\n" in line


STACKS = (("kstack", "$kstack"), ("ustack", "$ustack"))


def test_stacks_stand_below_the_row() -> None:
    event = made("vfs_read", captures=STACKS, kstack=(0xFFFF0010, 0xFFFF1001), ustack=(0x400, 7))
    assert (event.kstack, event.ustack) == ((0xFFFF0010, 0xFFFF1001), (0x400, 7))
    assert rows("vfs_read", event) == [
        "42      43      cat             vfs_read",
        "        vfs_read+0x10 [kernel]",
        "        nf_ct+0x1 [nf_conntrack]",
        "        main+0x4 [ls]",
        "        [unknown]",
        "",
    ]
    assert next(iter(stack_lines(event, Names(), addresses=True))) == (
        "                ffff0010 vfs_read+0x10 [kernel]"
    )
    table = Table([event.layout])
    assert table.has_stacks
    assert table.header().split() == ["PID", "COMM"]
    assert table.row(event).split() == ["42", "cat"]


def test_a_stack_that_could_not_be_taken_says_so() -> None:
    event = made("vfs_read", captures=STACKS, kstack=None, ustack=())
    assert event.kstack is None
    assert event.faults == {"kstack"}
    assert list(stack_lines(event, Names())) == ["        (fault)"]


def test_a_tally_puts_the_most_frequent_first() -> None:
    tally = Tally()
    for row in ("a", "b", "b\n", "c", "b"):
        tally.add(row)
    assert list(tally.lines()) == ["b\n-->COUNT 3\n", "a\n-->COUNT 1\n", "c\n-->COUNT 1\n"]


def test_a_line_of_ftrace() -> None:
    text = "p:opened do_sys_openat2 n=%si:u32 name=+0(%di):string"
    event = made(text, n=7, name='a"b')
    lines = FtraceLines({type(event): Spot("do_sys_openat2+0x0/0x60")}, Names())
    assert lines.rows(event) == (
        "             cat-43      [001] .....     5.000001: opened: (do_sys_openat2+0x0/0x60)"
        ' n=7 name="a"b"'
    )


def test_a_return_says_where_it_goes() -> None:
    event = made("r:back vfs_read", captures=(("_caller", "%ip"),), _caller=0xFFFF1001)
    lines = FtraceLines({type(event): Spot("vfs_read")}, Names())
    assert lines.rows(event).endswith("back: (nf_ct+0x1/0x40 [nf_conntrack] <- vfs_read)")
    event = made("r:back /bin/bash:main", captures=(("_caller", "%ip"),), _caller=0x55AA)
    lines = FtraceLines({type(event): Spot("0x1139", user=True)}, Names())
    assert lines.rows(event).endswith("back: (0x55aa <- 0x1139)")


def test_stacks_of_ftrace() -> None:
    event = made("p vfs_read", captures=STACKS, kstack=(0xFFFF0010, 5), ustack=(0x400, 7))
    lines = FtraceLines({type(event): Spot("vfs_read+0x0/0x320")}, Names()).rows(event).split("\n")
    front = "             cat-43      [001] .....     5.000001: "
    assert lines == [
        f"{front}vfs_read: (vfs_read+0x0/0x320)",
        f"{front}<stack trace>",
        " => vfs_read",
        " => 0x5",
        f"{front}<user stack trace>",
        " =>  /usr/bin/ls[+0x4] <0000000000000400>",
        " => <0000000000000007>",
    ]


def test_places_as_the_kernel_writes_them() -> None:
    assert place_text(Location("f", 1, 0x10, "mod"), 9) == "f+0x1/0x10 [mod]"
    assert place_text(None, 0x99) == "0x99"
    assert location_text(Location("f", 1, 16)) == "f+0x1 [kernel]"
    assert FtraceLines.header(4).splitlines()[2].endswith("#P:4")
