"""In a pid namespace a process has another number than programs in the kernel see by themselves."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import PidNamespace
from bpfprobe.target import pid_namespace
from bpfprobe.target.pid_namespace import has_initial_numbers, refuse_outsiders
from bpfprobe.testing.codec import decode, encode
from bpfprobe.testing.static_target import FACTS
from tests.sample_machine import c_text, complaint, machine, planned

if TYPE_CHECKING:
    from collections.abc import Callable

CONTAINER = machine(replace(FACTS, pid_namespace=PidNamespace(4, 4026532177)))
PROBES = {
    "entry": "p:reads vfs_read count pid tid if pid == 7",
    "return": "r:opened do_sys_openat2 path=filename:ustring duration if tid != 9",
    "tracepoint": "tracepoint:sched:sched_process_exec filename who=$pid",
    "user": "uretprobe:/bin/bash:readline pid",
}


@pytest.mark.parametrize("name", PROBES)
def test_each_program_asks_for_the_numbers_there(name: str) -> None:
    c = c_text(PROBES[name], target=CONTAINER, pid=5, not_pid=6)
    programs = c.count("u64 thread = bpf_get_current_pid_tgid();")
    assert c.count("u64 here = thread_in_namespace();") == programs == 1 + (name == "return")
    assert "((word *)event)[1] = here;" in c
    assert "= thread >> 32" not in c
    assert "(u32)thread" not in c
    assert name != "return" or "struct inflight_key key = {thread, " in c, "one for each thread"


@pytest.mark.parametrize("name", PROBES)
def test_outside_of_containers_nothing_is_asked(name: str) -> None:
    c = c_text(PROBES[name], pid=5, not_pid=6)
    assert "namespace" not in c
    assert "u64 here" not in c


def test_another_container_has_the_same_programs() -> None:
    other = machine(replace(FACTS, pid_namespace=PidNamespace(4, 4026539999)))
    one, two = (planned(PROBES["entry"], target=each, pid=5) for each in (CONTAINER, other))
    assert c_text(PROBES["entry"], target=CONTAINER) == c_text(PROBES["entry"], target=other)
    image = one.parameters.image()
    assert one.namespace is not None
    slots = [image[slot.offset : slot.offset + 8] for slot in one.namespace]
    assert [int.from_bytes(slot, "little") for slot in slots] == [4, 4026532177]
    assert image != two.parameters.image()


@pytest.mark.parametrize("text", ["p vfs_read ppid", "p vfs_read if ppid == 1", "r vfs_read ppid"])
def test_the_parent_is_refused(text: str) -> None:
    refused = complaint(text, target=CONTAINER)
    assert (refused.code, refused.hint) == (
        "PPID_NAMESPACE", "trace from outside of all containers, or take pid"
    )  # fmt: skip


def test_it_can_be_recorded() -> None:
    facts = CONTAINER.facts()
    assert decode(encode(facts)) == facts


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, int]], None]:
    """What /proc/self leads to, and the inodes of the namespaces of processes."""

    def shown(own: str, inodes: dict[str, int]) -> None:
        def namespace(process: str) -> os.stat_result:
            if process not in inodes:
                raise FileNotFoundError
            return os.stat_result((0, inodes[process], os.makedev(3, 7), *[0] * 7))

        monkeypatch.setattr(os, "readlink", lambda path: own)
        monkeypatch.setattr(pid_namespace, "_namespace", namespace)

    return shown


INITIAL, OURS, DEEPER = 0xEFFFFFFC, 4026532177, 4026532188


def test_what_is_looked_at(proc: Callable[[str, dict[str, int]], None]) -> None:
    me = str(os.getpid())
    proc(me, {"self": INITIAL, "9": DEEPER})
    assert (pid_namespace.pid_namespace(), has_initial_numbers()) == (None, True)
    refuse_outsiders([9])  # from outside all have a number
    proc(me, {"self": OURS, "8": OURS, "9": DEEPER})
    assert pid_namespace.pid_namespace() == (3 << 20 | 7, OURS)
    assert not has_initial_numbers()
    refuse_outsiders([8, 7])
    with pytest.raises(TargetError) as caught:
        refuse_outsiders([8, 9])
    assert caught.value.code == "OTHER_PID_NAMESPACE"
    assert "process 9 " in caught.value.message
    proc("77", {"1": INITIAL, "self": OURS})
    assert (pid_namespace.pid_namespace(), has_initial_numbers()) == (None, True)
    refuse_outsiders([])
    with pytest.raises(TargetError) as caught:
        refuse_outsiders([8])
    assert caught.value.code == "OTHER_PROC"
    proc(me, {})
    assert (pid_namespace.pid_namespace(), has_initial_numbers()) == (None, False)
