"""Every shape of program passes the verifier of every kernel: loaded, not attached."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import bpfprobe as bp
from bpfprobe.engine.live import LiveEngine
from bpfprobe.model.options import Options
from bpfprobe.pipeline import describe
from bpfprobe.target.live import LiveTarget

VALUES = {
    "number": "$arg1",
    "user": "$arg2:ustring",
    "either": "(char *)$arg3",
    "vector": "argv",
    "took": "duration",
    "member": "how->flags",
    "parent": "ppid",
    "array": "+0($arg3):x64[3]",
    "early": "entry(how->mode)",
}
FILTERS = (
    None,
    'comm == "nginx" || uid == 3',
    'filename ~ "*a[b-d]?*e" && pid > 3',
    f'filename != "{"x" * 100}" && !(filename ~ "/tmp/*") && $retval < 0',
)


def shapes() -> list[bp.Probe]:
    """Captures by ones, twos, ... all, each with one of the filters in turn."""
    filters = itertools.cycle(FILTERS)
    return [
        bp.kretprobe(
            "do_sys_openat2",
            captures={name: VALUES[name] for name in names},
            filter=next(filters),
            string_bytes=1024,
        )
        for size in (1, 2, 3, 5, 9)
        for names in itertools.islice(itertools.combinations(VALUES, size), 0, None, 11)
    ]


@pytest.mark.guest(timeout_s=400)
def test_the_verifier_takes_every_shape() -> None:
    load_all(shapes())


@pytest.mark.guest(kernels=["5.10", "newest"], timeout_s=400)
def test_every_shape_for_perf_buffers() -> None:
    load_all(shapes(), transport="perf")


@pytest.mark.guest(kernels=["5.10", "newest"], timeout_s=400)
def test_shapes_of_one_process_and_user() -> None:
    load_all(shapes()[:12], pid=1, uid=3)


def load_all(several: list[bp.Probe], **options: Any) -> None:
    engine, target = LiveEngine(), LiveTarget()
    calls = [
        bp.syscall(name, path="filename", fd="retval") for name in ("open", "openat", "execve")
    ]
    calls += [bp.syscall("execve", args="argv"), bp.syscall("execveat", args="argv", r="retval")]
    for at in range(0, len(several), 8):
        compiled = describe([*several[at : at + 8], *calls], target, Options(**options))
        maps = [engine.create_map(definition) for definition in compiled.source.maps]
        programs = [engine.load(code, maps) for code in engine.compile(compiled.source)]
        assert len(programs) == len(compiled.source.programs)
        for descriptor in (*programs, *maps):
            engine.close_fd(descriptor)
