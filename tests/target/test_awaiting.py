"""Files that are not there yet are described as if they had all that is asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

import bpfprobe as bp
from bpfprobe.errors import TargetError
from bpfprobe.pipeline import describe, spec_of
from bpfprobe.target.awaiting import AwaitingTarget
from tests.sample_machine import machine

if TYPE_CHECKING:
    from bpfprobe.pipeline import Compilation
    from bpfprobe.target import Target

HERE, THERE = "/lib/here.so", "/lib/there.so"
MACHINE = machine(
    binaries={HERE: ["f"], "/lib/broken.so": TargetError("broken", code="NOT_ELF")},
    processes={7: []},
)


def described(probe: bp.Probe) -> tuple[AwaitingTarget, Compilation]:
    target = AwaitingTarget(MACHINE, [spec_of(probe).point])
    return target, describe([probe], cast("Target", target))


@pytest.mark.parametrize(
    "probe",
    [
        bp.uprobe(THERE, "f", n="$arg1", text="$arg2:ustring"),
        bp.uprobe(THERE, "f*", n="$arg1"),
        bp.uretprobe(THERE, "f", n="$arg1", result="$retval", took="duration"),
        bp.uprobe(THERE, offset=0x1149),
        bp.uprobe(THERE, address=0x1149),
        bp.probe(f"uprobe:{THERE}:f+4 n=%di"),
        bp.probe(f"uprobe:{THERE}:file.c:42"),
        bp.usdt(THERE, "shop:sold", n="$arg1", last="$arg12"),
        bp.usdt(THERE, "sold"),
        bp.uprobe("bare-name", "f"),
    ],
    ids=str,
)
def test_every_place_of_a_missing_file(probe: bp.Probe) -> None:
    target, made = described(probe)
    path = made.specs[0].point.path  # type: ignore[union-attr]  # all are of programs
    assert target.awaited == {(path, None)}
    assert target.found == {}
    assert made.wiring.probes[0].places == 1


def test_a_file_that_is_there_is_asked() -> None:
    target, made = described(bp.uprobe(HERE, "f"))
    assert (target.awaited, target.found) == (set(), {(HERE, None): HERE})
    assert str(made.wiring.probes[0].site) == f"uprobe:{HERE}:f"
    with pytest.raises(bp.SpecError, match="has no function g"):
        described(bp.uprobe(HERE, "g"))


def test_a_process_need_not_map_it_yet() -> None:
    _, made = described(bp.uprobe(HERE, "f", pid=7))
    assert made.wiring.probes[0].site.pid == 7  # type: ignore[union-attr]  # it is of a program


@pytest.mark.parametrize(
    ("probe", "code"),
    [
        (bp.uprobe("/lib/broken.so", "f"), "NOT_ELF"),
        (bp.uprobe(HERE, "f", pid=8), "NO_PROCESS"),
        (bp.uprobe(THERE, "f", n="by_name"), "NOSUP_BTFARG"),
    ],
)
def test_what_is_wrong_all_the_same(probe: bp.Probe, code: str) -> None:
    with pytest.raises(bp.SpecError) as caught:
        described(probe)
    assert caught.value.code == code


def test_what_was_missing_once_stays_so() -> None:
    files = {HERE: ["f"]}
    target = AwaitingTarget(machine(binaries=files), [])
    awaited = target.binary(THERE)
    target._target = machine(binaries=files | {THERE: ["g"]})
    assert target.binary(THERE) == awaited
