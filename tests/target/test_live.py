"""`LiveTarget` against a root directory made here: no privilege, no kernel."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from bpfprobe.errors import TargetError
from bpfprobe.target.live import LiveTarget

if TYPE_CHECKING:
    from pathlib import Path

KALLSYMS = "ffffffff81000000 T vfs_read\nffffffff81000100 T bpf_ringbuf_output\n"
FORMAT = "name: x\nID: 7\nformat:\n\tfield:pid_t pid;\toffset:8;\tsize:4;\tsigned:1;\n"


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def test_an_empty_root_answers_that_it_cannot_tell(tmp_path: Path) -> None:
    target = LiveTarget(tmp_path)
    facts = target.facts()
    assert facts.kprobes.present is None
    assert facts.ring_buffer.present is None
    assert facts.lockdown.present is None
    assert facts.btf.present is False
    assert facts.tracefs.present is False
    assert target.is_blacklisted("f") is None
    assert target.is_traceable("f") is None
    assert target.tracepoint("sched", "x") is None
    assert target.matching_tracepoints("*") == ()
    assert target.struct("file") is None
    assert target.prototype("vfs_read") is None
    with pytest.raises(TargetError) as caught:
        target.symbols("vfs_read")
    assert caught.value.code == "NO_KALLSYMS"


def test_a_root_with_everything(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "/proc/kallsyms": KALLSYMS,
            "/proc/mounts": "debugfs /sys/kernel/debug debugfs rw 0 0\n"
            "tracefs /trace tracefs rw 0 0\n",
            "/proc/config.gz": gzip.compress(b"CONFIG_KPROBES=y\nCONFIG_KPROBE_EVENTS=y\n"),
            "/proc/sys/kernel/osrelease": "5.10.0-test\n",
            "/proc/sys/kernel/ftrace_enabled": "1\n",
            "/sys/devices/system/cpu/possible": "0-7\n",
            "/sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
            "/sys/kernel/debug/kprobes/blacklist": "0x0-0x0\tnotify_die\n",
            "/sys/kernel/debug/kprobes/enabled": "1\n",
            "/sys/bus/event_source/devices/uprobe/type": "7\n",
            "/trace/available_filter_functions": "vfs_read\n",
            "/trace/available_events": "sched:x\nsched:y\nirq:z\n",
            "/trace/events/sched/x/format": FORMAT,
        },
    )
    target = LiveTarget(root)
    facts = target.facts()
    assert (facts.release, facts.cpus) == ("5.10.0-test", 8)
    assert facts.kprobes.present is True
    assert facts.kprobe_pmu.present is False
    assert facts.uprobe_pmu.evidence.endswith("uprobe/type is 7")
    assert facts.ring_buffer.present is True
    assert facts.bpf_link.present is False
    assert facts.lockdown.evidence.startswith("integrity")
    assert facts.tracefs.evidence == "/trace"
    assert target.is_blacklisted("notify_die") is True
    assert target.is_blacklisted("vfs_read") is False
    assert target.is_traceable("vfs_read") is True
    assert target.is_traceable("vfs_reed") is False
    assert target.matching_tracepoints("sched:*") == ("sched:x", "sched:y")
    found = target.tracepoint("sched", "x")
    assert found is not None
    assert (found.event_id, [field.name for field in found.fields]) == (7, ["pid"])
    assert target.tracepoint("sched", "../irq") is None


def test_kprobes_that_were_disarmed(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "/proc/mounts": "none /d debugfs rw 0 0\n",
            "/sys/bus/event_source/devices/kprobe/type": "6\n",
            "/d/kprobes/enabled": "0\n",
        },
    )
    answer = LiveTarget(root).facts().kprobes
    assert answer.present is False
    assert "/d/kprobes/enabled is 0" in answer.evidence


def test_tracefs_inside_debugfs(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "/proc/mounts": "none /d debugfs rw 0 0\n",
            "/d/tracing/events/sched/x/format": FORMAT,
        },
    )
    assert LiveTarget(root).tracepoint("sched", "x") is not None
