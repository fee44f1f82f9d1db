"""One probe at many functions of a program."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import bpfprobe as bp
from bpfprobe.deliver.decode import Decoder
from bpfprobe.errors import DecodeError
from bpfprobe.model.layout import FieldKind
from bpfprobe.model.machine import Answer, BinarySymbol, FileOffset, VirtualAddress
from bpfprobe.model.object import AttachType
from bpfprobe.model.options import MAX_PLACES
from bpfprobe.model.site import UserSites
from bpfprobe.model.value import AnyOf, Compare, Condition, Constant, Not, PlaceNumber
from bpfprobe.testing import pack_record
from bpfprobe.testing.static_target import FACTS, StaticTarget
from tests.sample_machine import bound, compiled, complaint, one_plan

PATH = "/lib/mem.so"
NO = Answer(False, "the test says so")


def symbol(name: str, at: int) -> BinarySymbol:
    return BinarySymbol(name, VirtualAddress(0x401000 + at), FileOffset(0x1000 + at), 0x10)


FUNCTIONS = [
    symbol("memset", 0x300),
    symbol("memcpy", 0x100),
    symbol("memmove", 0x100),
    symbol("mempcpy", 0x200),
    symbol("strlen", 0x400),
]


def target(**facts: Any) -> StaticTarget:
    many = [symbol(f"many{n}", 0x1000 + 16 * n) for n in range(MAX_PLACES + 1)]
    return StaticTarget(
        binaries={PATH: FUNCTIONS, "/lib/many.so": many},
        processes={7: [PATH]},
        facts=replace(FACTS, **facts),
        go_binaries=["/lib/many.so"],
    )


SITES = UserSites(
    PATH,
    (FileOffset(0x1100), FileOffset(0x1200), FileOffset(0x1300)),
    ("memcpy", "mempcpy", "memset"),
    "mem*",
)


def test_each_place_once_in_order() -> None:
    plan = one_plan(bp.uprobe(PATH, "mem*", size="$arg3"), target())
    assert plan.site == SITES
    assert str(plan.site) == "uprobe:/lib/mem.so:mem* (3 functions)"
    assert [str(site) for site in SITES.each()] == [
        "uprobe:/lib/mem.so:memcpy", "uprobe:/lib/mem.so:mempcpy", "uprobe:/lib/mem.so:memset",
    ]  # fmt: skip
    assert plan.bound.spec.name == "mem_"


def test_one_link_where_the_kernel_has_it() -> None:
    plan = one_plan(bp.uprobe(PATH, "mem*"), target())
    assert (plan.mechanism.name, plan.attach_type) == ("uprobe.multi", AttachType.UPROBE_MULTI)
    single = one_plan(bp.uprobe(PATH, "memset"), target())
    assert (single.mechanism.name, single.attach_type) == ("uprobe.multi", AttachType.UPROBE_MULTI)
    old = one_plan(bp.uprobe(PATH, "memset"), target(uprobe_multi=NO))
    assert (old.mechanism.name, old.attach_type) == ("uprobe", AttachType.ANY)


@pytest.mark.parametrize(
    ("facts", "pid", "why"),
    [
        ({"uprobe_multi": NO}, None, "the test says so"),
        ({"release": "6.9.4-x"}, 7, "before Linux 6.10"),
        ({"release": "strange"}, 7, "before Linux 6.10"),
    ],
)
def test_one_by_one_otherwise(facts: dict[str, Any], pid: int | None, why: str) -> None:
    plan = one_plan(bp.uprobe(PATH, "mem*", pid=pid), target(**facts))
    assert (plan.mechanism.name, plan.attach_type) == ("uprobe", AttachType.ANY)
    assert why in plan.mechanism.turned_down[0]


def test_a_pid_is_no_hindrance_on_a_newer_kernel() -> None:
    plan = one_plan(bp.uprobe(PATH, "mem*", pid=7), target(release="6.12.1"))
    assert plan.mechanism.name == "uprobe.multi"


def test_a_return_has_its_entries() -> None:
    plan = one_plan(bp.uretprobe(PATH, "mem*", size="$arg3", took="duration"), target())
    assert plan.site == replace(SITES, returns=True)
    assert plan.pairing is not None
    assert plan.pairing.site == SITES
    source = compiled(bp.uretprobe(PATH, "mem*", took="duration"), target=target()).source
    assert {program.attach_type for program in source.programs} == {AttachType.UPROBE_MULTI}


def test_func_is_the_one_that_was_hit() -> None:
    plan = one_plan(bp.uprobe(PATH, "mem*", func="func", size="$arg3"), target())
    field = plan.layout.field("func")
    assert (field.kind, field.names) == (FieldKind.NAME, SITES.names)
    decode = Decoder([plan.layout]).event
    event = decode(pack_record(plan.layout, func="mempcpy", size=3))
    assert (event.probe, event.func, event.size, event.raw("func")) == (
        "mem_", "mempcpy", 3, b"mempcpy",
    )  # fmt: skip
    with pytest.raises(ValueError, match="func is one of memcpy, mempcpy, memset"):
        pack_record(plan.layout, func="memmove")
    record = bytearray(pack_record(plan.layout, func="memset"))
    record[field.offset] = 3
    with pytest.raises(DecodeError, match="func is name 3 of 3"):
        _ = decode(bytes(record)).func


def is_place(*numbers: int) -> AnyOf:
    return AnyOf(tuple(Compare("==", PlaceNumber(), Constant(number)) for number in numbers))


@pytest.mark.parametrize(
    ("condition", "means"),
    [
        ('func == "memset"', is_place(2)),
        ('func != "memset"', Not(is_place(2))),
        ('func ~ "*pcpy"', is_place(1)),
        ('func ~ "!*pcpy"', Not(is_place(1))),
        ('func ~ "mem*"', Not(is_place())),
        ('func ~ "mem[cs]*"', Not(is_place(1))),
    ],
)
def test_filters_compare_numbers(condition: str, means: Condition) -> None:
    assert bound(bp.uprobe(PATH, "mem*", filter=condition), target()).filter == means


@pytest.mark.parametrize(
    ("probe", "code", "words"),
    [
        (bp.uprobe(PATH, "men*"), "BAD_PROBE_ADDR", "no function of /lib/mem.so fits men*"),
        (bp.uprobe("/lib/many.so", "many*"), "TOO_MANY_PLACES", "1001 functions"),
        (bp.uprobe("/lib/many.so", "many*"), "TOO_MANY_PLACES", "--max-places N"),
        (bp.uretprobe("/lib/many.so", "many10*"), "GO_RETURN", "Go moves stacks"),
        (bp.uprobe(PATH, "mem*", filter='func == "memmove"'), "MEANINGLESS", "they are memcpy"),
        (bp.uprobe(PATH, "mem*", pid=8), "NO_PROCESS", "8"),
        (bp.uprobe(PATH, "mem*", x="@+0x4010"), "FILE_ON_MANY", "this one has several"),
    ],
)
def test_refusals(probe: bp.Probe, code: str, words: str) -> None:
    diagnostic = complaint(probe, target())
    assert diagnostic.code == code
    assert words in str(diagnostic)


def test_the_limit_counts_places_and_is_the_users() -> None:
    mem = bp.uprobe(PATH, "mem*")  # four functions at three places
    assert one_plan(mem, target(), max_places=3).site == SITES
    refused = complaint(mem, target(), max_places=2)
    assert (refused.code, refused.message) == (
        "TOO_MANY_PLACES",
        "4 functions of /lib/mem.so fit mem*, and 2 is the most that one probe goes to",
    )
    many = one_plan(bp.uprobe("/lib/many.so", "many*"), target(), max_places=MAX_PLACES + 1).site
    assert isinstance(many, UserSites)
    assert len(many.offsets) == MAX_PLACES + 1


def test_func_needs_cookies() -> None:
    probe = bp.uprobe(PATH, "mem*", func="func")
    assert complaint(probe, target(attach_cookie=NO)).code == "NO_COOKIE"
    assert one_plan(bp.uprobe(PATH, "memset", func="func"), target(attach_cookie=NO))
