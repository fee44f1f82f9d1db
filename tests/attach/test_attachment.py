"""What is open in the kernel is owned by one place, whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.attach.attachment import Attachment
from bpfprobe.testing import FakeEngine
from tests.sample_machine import MACHINE, compiled

if TYPE_CHECKING:
    from bpfprobe.model.site import Site
    from bpfprobe.testing.fake_engine import FakeLink

RETURNS = bp.kretprobe("vfs_write", n="count:u64")


class Interrupted(FakeEngine):
    """Ctrl-C comes when a second place is to be attached."""

    def attach(self, program_fd: int, site: Site) -> FakeLink:
        if self.links:
            raise KeyboardInterrupt
        return super().attach(program_fd, site)


def attachment(engine: FakeEngine, probe: bp.Probe) -> Attachment:
    made = compiled(probe, target=MACHINE)
    made_by = Attachment(made.wiring, engine, lambda thread, function: None)
    made_by.attach(lambda: engine.compile(made.source))
    return made_by


def test_an_interrupt_between_two_places_leaves_neither() -> None:
    engine = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        attachment(engine, RETURNS)
    assert len(engine.links) == 1
    assert engine.is_idle


def test_a_program_at_several_places_is_counted_once() -> None:
    engine = FakeEngine(misses=3)
    made = attachment(engine, bp.kprobe("vfs_read"))
    probe = made.wiring.probes[0]
    more = made.attach_probe(0, probe, made.programs)
    assert len(engine.attached) == 2
    engine.links[0].misses, engine.links[1].misses = 10, 100
    assert made.tally(0).missed == 113
    made.give_up(0, more)
    assert made.tally(0).missed == 13
    made.close()
    assert len(engine.attached) == 1, "it has been given up, and its new owner ends it"
    made.end(more)
    assert engine.is_idle
