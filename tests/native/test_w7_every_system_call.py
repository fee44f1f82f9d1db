"""Every system call of the manual leads to what this kernel has, or to what is called instead."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.model.bound import SyscallSites
from bpfprobe.resolve.resolve import resolve
from bpfprobe.target.live import LiveTarget
from tests.cases.manual_syscalls import MANUAL
from tests.sample_machine import as_spec


def test_every_name_of_the_manual() -> None:
    """Nothing is attached: only what would be."""
    target = LiveTarget()
    if not target.matching_tracepoints("syscalls:sys_enter_read"):
        pytest.skip("tracefs shows no system calls here")
    served, refused = [], {}
    for name in MANUAL:
        try:
            (found,) = resolve([as_spec(f"syscall:{name}")], target).probes
        except bp.SpecError as error:
            refused[name] = error.hint or ""
            continue
        sites = [s for s in (found.site, *found.more_sites) if isinstance(s, SyscallSites)]
        assert all(site.enter and site.exit for site in sites), name
        served.append(name)
    assert len(served) > 330
    assert {"uname", "stat", "sendfile", "waitpid", "umount2", "chown32"} <= {*served}
    assert "syscall:setpriority" in refused["nice"]
    for name, hint in refused.items():
        instead = hint.partition("the C library calls ")[2].partition(",")[0]
        assert not instead or resolve([as_spec(instead)], target), name
