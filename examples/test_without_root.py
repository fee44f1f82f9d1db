"""How to test a probe of your own with no root, no compiler and no particular kernel.

Run it with pytest. The target is written by hand, the engine pretends, and a record is made as the
program in the kernel would make it; a recorded target (``bpfprobe explain --record``) serves as
well, and has the types of a real kernel.
"""

import pytest

import bpfprobe as bp
from bpfprobe.testing import FakeEngine, StaticTarget, pack_record

KERNEL = StaticTarget(
    functions=["long do_sys_openat2(int dfd, const char *filename, struct open_how *how)"],
    structs={"open_how": [("flags", "u64"), ("mode", "u64"), ("resolve", "u64")]},
)


def opened(**changed: str) -> bp.Probe:
    captures = {"path": "filename:ustring", "fd": "$retval:s32", **changed}
    return bp.kretprobe("do_sys_openat2", captures=captures)


def test_events_reach_the_callback() -> None:
    seen: list[bp.Event] = []
    probe, engine = opened(), FakeEngine()
    with bp.Session(probe, target=KERNEL, engine=engine) as session:
        session.on(probe)(seen.append)
        layout = session.event_type(probe).layout
        engine.push(pack_record(layout, pid=42, comm=b"cat", path=b"/etc/passwd", fd=3))
        engine.push(pack_record(layout, pid=43, comm=b"cat", path=None, fd=-2))
        session.run(max_events=2)
    assert [(event.pid, event.path, event.fd) for event in seen] == [
        (42, "/etc/passwd", 3),
        (43, None, -2),
    ]
    assert seen[1].faults == {"path"}
    assert not engine.attached


def test_a_wrong_member_is_refused_before_any_kernel_sees_it() -> None:
    with pytest.raises(bp.SpecError) as error:
        bp.Session(opened(flags="how->flag"), target=KERNEL).c_source()
    assert "struct open_how has no member flag" in str(error.value)
    assert "did you mean flags?" in str(error.value)
