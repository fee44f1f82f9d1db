"""Numbers without a type get the one that events were settled to have."""

from __future__ import annotations

import bpfprobe as bp
from bpfprobe.model.spec import TypeName
from bpfprobe.plan.pinned import pinned
from tests.sample_machine import compiled, machine

MACHINE = machine(binaries={"/lib/a.so": ["f"]})


def test_only_numbers_that_were_left_open() -> None:
    probe = bp.uprobe(
        "/lib/a.so", "f", n="$arg1", small="$arg2:s8", text="$arg3:ustring", who="comm", where="pid"
    )
    made = compiled(probe, target=MACHINE)
    (spec,), (planned,) = made.specs, made.plan.probes
    found = pinned(spec, planned.layout)
    types = {capture.name: capture.type for capture in found.captures}
    assert {name: one.base for name, one in types.items() if one is not None} == {
        "n": "x64", "small": "s8", "text": "ustring", "where": "u32",
    }  # fmt: skip
    assert isinstance(types["n"], TypeName)
    again = compiled(found, target=MACHINE)
    assert again.plan.probes[0].layout == planned.layout
    assert pinned(found, planned.layout) == found
