from __future__ import annotations

from bpfprobe.model.object import MapKind, ProbeWiring
from bpfprobe.model.site import KernelSite
from bpfprobe.plan.wiring import wire
from tests.sample_machine import planned


def test_each_probe_keeps_its_places_and_programs() -> None:
    plan = planned("kprobe:vfs_read count", "kretprobe:vfs_write n=count retval")
    wiring = wire(plan)
    assert wiring.maps == plan.maps
    assert wiring.maps[wiring.probes[1].inflight_map].kind is MapKind.LRU_HASH
    assert wiring.probes == (
        ProbeWiring(plan.probes[0].layout, KernelSite("vfs_read"), "p0_vfs_read"),
        ProbeWiring(
            plan.probes[1].layout,
            KernelSite("vfs_write", returns=True),
            "p1_vfs_write",
            KernelSite("vfs_write"),
            "e1_vfs_write",
            wiring.probes[1].inflight_map,
        ),
    )


def test_the_buffer_is_that_of_the_plan() -> None:
    for transport in ("ring", "perf"):
        plan = planned("kprobe:vfs_read", transport=transport, buffer_bytes=1 << 16)
        wiring = wire(plan)
        assert (wiring.uses_ring, wiring.buffer_bytes) == (transport == "ring", 1 << 16)
        assert wiring.wake_bytes == plan.wake_bytes
        assert wiring.page_size == plan.facts.page_size
