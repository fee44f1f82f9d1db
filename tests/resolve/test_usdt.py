"""Which marker is meant, and where its arguments are."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.errors import TargetError
from bpfprobe.model.machine import FileOffset, UsdtLocation, UsdtMarker, VirtualAddress
from bpfprobe.model.scalar import S32, S64, U64, X64, Scalar
from bpfprobe.model.site import UserSite
from bpfprobe.model.value import (
    BinaryOperation,
    ByPlace,
    Constant,
    Load,
    RegisterValue,
    Space,
    Value,
    View,
)
from bpfprobe.testing.static_target import FACTS, StaticTarget
from tests.sample_machine import bound, complaint

PATH = "/opt/shop"


def location(number: int, arguments: str) -> UsdtLocation:
    return UsdtLocation(VirtualAddress(0x401100 + number), FileOffset(0x1100 + number), arguments)


def marker(provider: str, name: str, *arguments: str, semaphore: int = 0) -> UsdtMarker:
    places = tuple(location(16 * n, text) for n, text in enumerate(arguments))
    return UsdtMarker(
        provider, name, places, VirtualAddress(semaphore), FileOffset(semaphore and 0x2010)
    )


MARKERS = (
    marker("shop", "sold", "-4@%eax 8@16(%rsp)", "-4@%ebx 8@16(%rsp)", semaphore=0x404010),
    marker("shop", "opened", "-4@$5 1@%ah 8@stock+8(%rip) 2@%r9w 8@4(%rbx,%rcx,2)"),
    marker("shop", "mixed", "4@%eax 8@%rbx", "-8@%rcx"),
    marker("other", "opened", ""),
    marker("shop", "real", "8f@%xmm0"),
    marker("shop", "wide", "16@%xmm0 -4@%eax"),
    marker("shop", "row", "8@stock+8(,%rcx,4)"),
)
TARGET = StaticTarget(
    binaries={PATH: ["main"], "/opt/plain": ["main"]},
    markers={PATH: MARKERS},
    variables={PATH: {"stock": 0x404100}},
    processes={7: [PATH], 8: []},
    facts=FACTS,
)


def values(probe: bp.Probe) -> list[Value]:
    return [capture.value for capture in bound(probe, TARGET).captures]  # type: ignore[misc]  # numbers


def test_every_place_of_a_marker_with_its_semaphore() -> None:
    found = bound(bp.usdt(PATH, "shop:sold"), TARGET)
    sites = [
        UserSite(PATH, FileOffset(at), ref_ctr_offset=0x2010, marker="shop:sold")
        for at in (0x1100, 0x1110)
    ]
    assert (found.site, list(found.more_sites)) == (sites[0], sites[1:])
    assert str(found.site) == "usdt:/opt/shop:shop:sold"
    assert not found.returns


@pytest.mark.parametrize(
    "probe", [bp.probe(f"usdt:{PATH}:shop:sold"), bp.probe(f"x=usdt:{PATH}:sold"),
              bp.usdt(PATH, "sold"), bp.usdt(PATH, "shop:sold", pid=7)],
)  # fmt: skip
def test_every_way_to_say_it(probe: bp.Probe) -> None:
    assert len(bound(probe, TARGET).more_sites) == 1


def test_operands_become_values() -> None:
    rcx = BinaryOperation("*", RegisterValue("cx"), Constant(2), X64)
    address = BinaryOperation("+", RegisterValue("bx"), rcx, X64)
    assert values(
        bp.usdt(PATH, "shop:opened", a="$arg1", b="$arg2", c="$arg3", d="$arg4", e="$arg5")
    ) == [
        View(Constant(5), S32),
        View(BinaryOperation(">>", RegisterValue("ax"), Constant(8), X64), Scalar(1, signed=False)),
        # The variable is 0x404108, and the probe stands at 0x401100.
        Load(BinaryOperation("+", RegisterValue("ip"), Constant(0x3008), X64), 0, U64, Space.USER),
        RegisterValue("r9", Scalar(2, signed=False)),
        Load(BinaryOperation("+", address, Constant(4), X64), 0, U64, Space.USER),
    ]


def test_a_variable_with_an_index() -> None:
    (row,) = values(bp.usdt(PATH, "row", n="$arg1"))
    variable = BinaryOperation("+", RegisterValue("ip"), Constant(0x3008), X64)
    index = BinaryOperation("*", RegisterValue("cx"), Constant(4), X64)
    assert row == Load(BinaryOperation("+", variable, index, X64), 0, U64, Space.USER)


def test_what_differs_from_place_to_place() -> None:
    sold, at = values(bp.usdt(PATH, "sold", n="$arg1", at="$arg2"))
    assert sold == ByPlace((RegisterValue("ax", S32), RegisterValue("bx", S32)), S32)
    stack = BinaryOperation("+", RegisterValue("sp"), Constant(16), X64)
    assert at == Load(stack, 0, U64, Space.USER)
    (mixed,) = values(bp.usdt(PATH, "mixed", n="$arg1"))
    assert mixed.type == S64


@pytest.mark.parametrize(
    ("probe", "code", "words"),
    [
        (bp.usdt(PATH, "shop:solid"), "NO_MARKER", "did you mean sold?"),
        (bp.usdt(PATH, "zzz"), "NO_MARKER", "bpfprobe list 'usdt:/opt/shop:*'"),
        (bp.usdt(PATH, "shops:sold"), "NO_PROVIDER", "it has other shop"),
        (bp.usdt(PATH, "opened"), "NON_UNIQ_MARKER", "shop:opened other:opened"),
        (bp.usdt("/opt/plain", "opened"), "NO_MARKERS", "built without them"),
        (bp.usdt("/opt/none", "opened"), "NO_FILE", "/opt/none"),
        (bp.usdt(PATH, "shop:sold", pid=9), "NO_PROCESS", "9"),
        (bp.usdt(PATH, "shop:sold", pid=8), "PID_NOT_MAPPED", "process 8"),
        (bp.usdt(PATH, "shop:sold", n="$arg3"), "NO_BTFARG", "has 2 arguments"),
        (bp.usdt(PATH, "shop:mixed", n="$arg2"), "NO_BTFARG", "has 1 argument,"),
        (bp.usdt(PATH, "shop:sold", n="$retval"), "RETVAL_ON_PROBE", "entry"),
    ],
)
def test_each_cause_has_its_own_words(probe: bp.Probe, code: str, words: str) -> None:
    diagnostic = complaint(probe, TARGET)
    assert diagnostic.code == code
    assert words in str(diagnostic)


def test_an_argument_that_no_probe_sees_matters_only_if_asked_for() -> None:
    assert bound(bp.usdt(PATH, "shop:real"), TARGET).captures == ()
    diagnostic = complaint(bp.usdt(PATH, "shop:real", x="$arg1"), TARGET)
    assert diagnostic.code == "USDT_OPERAND"
    assert "8f@%xmm0" in diagnostic.message
    assert values(bp.usdt(PATH, "wide", n="$arg2")) == [RegisterValue("ax", S32)]
    diagnostic = complaint(bp.usdt(PATH, "wide", x="$arg1"), TARGET)
    assert diagnostic.code == "USDT_OPERAND"
    assert "argument 1 of the marker, 16@%xmm0, cannot be read" in diagnostic.message


@pytest.mark.parametrize(
    "text", ["usdt:", "usdt:x", "usdt::a:b", f"usdt:{PATH}:a b:c", "usdt:p:a/b"]
)
def test_what_names_no_marker(text: str) -> None:
    with pytest.raises((bp.SpecError, TargetError)):
        bound(bp.probe(text), TARGET)


def test_a_marker_is_two_names_at_most() -> None:
    with pytest.raises(bp.SpecError, match="a marker is PROVIDER:NAME"):
        bp.usdt(PATH, "a:b:c")
    with pytest.raises(TypeError, match="pid must be a whole number"):
        bp.usdt(PATH, "a:b", pid=-1)
