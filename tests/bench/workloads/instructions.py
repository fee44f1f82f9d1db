"""BPF instructions that one event takes, counted on a machine of our own (tests/machine).

The same exec, open and connect is met by the programs of bpfprobe and by those that bcc compiles
from the C of its own tools as they are installed, entry and return together. An instruction counts
each time it is executed; a helper of the kernel is one instruction, and how often any was called is
told besides. Both must report what happened.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bpfprobe.model.object import MapDef, MapKind
from tests.bench import scenario
from tests.bench.figure import Figure
from tests.bench.processes import Tracer
from tests.bench.workload import Workload
from tests.machine.machine import Machine
from tests.machine.probes import Probes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack

    from tests.bench.setting import Setting
    from tests.bench.workload import Turn
    from tests.machine.machine import Run

BCC_PROGRAMS = {
    "execsnoop": ("syscall__execve", "do_ret_sys_execve"),
    "opensnoop": ("syscall__trace_entry_openat", "trace_return"),
    "tcpconnect": ("trace_connect_entry", "trace_connect_v4_return"),
}
TOOLS = tuple(BCC_PROGRAMS)


class WrongEvent(AssertionError):
    """A program did not report what happened, so that its cost means nothing."""


def contestants(setting: Setting, stack: ExitStack) -> Mapping[str, Turn]:
    turns: dict[str, Turn] = {
        "bpfprobe": lambda: _all(lambda tool: run_ours(tool, our_probes(tool)))
    }
    if not setting.without_bcc:
        turns["bcc"] = lambda: _all(lambda tool: _run_bcc(setting, tool))
    return turns


def _all(run: Callable[[str], tuple[Run, Run]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for tool in TOOLS:
        runs = run(tool)
        found[tool] = float(sum(one.executed for one in runs))
        found[f"{tool}, calls"] = float(sum(sum(one.calls.values()) for one in runs))
    return found


def our_probes(tool: str) -> Probes:
    """A tool as bpfprobe describes it, on a machine where the scenario is to happen."""
    probes = Probes([scenario.OUR_PROBES[tool]], scenario.TARGET, scenario.TASK)
    scenario.furnish(probes.machine.memory, scenario.our_offsets())
    return probes


def run_ours(tool: str, probes: Probes) -> tuple[Run, Run]:
    """Its entry and its return."""
    entry, back = probes.names
    runs = (
        probes.run(entry, scenario.ENTRIES[tool]),
        probes.run(back, scenario.RETURNS[tool]),
    )
    (event,) = probes.events()
    expected = {
        "execsnoop": lambda: (event.args, event.ppid, event.ret),
        "opensnoop": lambda: (event.path, event.fd, event.comm),
        "tcpconnect": lambda: (event.saddr, event.daddr, event.lport, event.dport),
    }[tool]()
    _check(tool, (event.pid, event.uid, *expected))
    return runs


def _run_bcc(setting: Setting, tool: str) -> tuple[Run, Run]:
    argv = setting.python("bcc_code", tool, *scenario.MEMBERS[tool])
    with Tracer(setting, argv, pinned=False) as tracer:
        made = tracer.answer()
    codes = {name: bytes.fromhex(code) for name, code in made["programs"].items()}
    maps = {
        int(number): MapDef(
            "bcc", MapKind(m["map_type"]), m["key_size"], m["value_size"], m["max_entries"]
        )
        for number, m in made["maps"].items()
    }
    machine = Machine(scenario.TASK, maps)
    offsets = {
        member: machine.run(bytes.fromhex(code), b"").result
        for member, code in made["offsets"].items()
    }
    scenario.furnish(machine.memory, offsets)
    entry, back = BCC_PROGRAMS[tool]
    runs = (
        machine.run(codes[entry], scenario.ENTRIES[tool]),
        machine.run(codes[back], scenario.RETURNS[tool]),
    )
    buffers = [n for n, made in maps.items() if made.kind is MapKind.PERF_EVENT_ARRAY]
    records = [record for number in buffers for record in machine.buffer(number).take()]
    _check(tool, BCC_READERS[tool](records))
    return runs


def _execsnoop(records: list[bytes]) -> tuple[object, ...]:
    """``struct data_t`` of execsnoop: a record a word, and one for the return."""
    found = [struct.unpack_from("<III16sI128si", record) for record in records]
    *words, last = found
    arguments = tuple(one[5].split(b"\0")[0].decode() for one in words)
    return (last[0], last[2], arguments, last[1], last[6])


def _opensnoop(records: list[bytes]) -> tuple[object, ...]:
    (record,) = records
    identity, _, uid, result, comm, name = struct.unpack_from("<QQIi16s255s", record)
    path, name_of = name.split(b"\0")[0].decode(), comm.split(b"\0")[0].decode()
    return (identity >> 32, uid, path, result, name_of)


def _tcpconnect(records: list[bytes]) -> tuple[object, ...]:
    (record,) = records
    _, pid, uid, saddr, daddr, _, lport, dport = struct.unpack_from("<QIIIIQHH", record)
    # Unlike bpfprobe's description, it turns the port round itself.
    return (pid, uid, saddr, daddr, lport, int.from_bytes(dport.to_bytes(2, "little"), "big"))


BCC_READERS = {"execsnoop": _execsnoop, "opensnoop": _opensnoop, "tcpconnect": _tcpconnect}


def _check(tool: str, reported: tuple[object, ...]) -> None:
    words = tuple(word.decode() for word in scenario.WORDS)
    happened: dict[str, tuple[object, ...]] = {
        "execsnoop": (words, scenario.PARENT, 0),
        "opensnoop": (scenario.PATH.decode(), scenario.DESCRIPTOR, scenario.TASK.comm),
        "tcpconnect": (
            *(scenario.LOCAL, scenario.REMOTE),
            *(scenario.LOCAL_PORT, scenario.REMOTE_PORT),
        ),
    }
    expected = (scenario.TASK.pid, scenario.TASK.uid, *happened[tool])
    if reported != expected:
        raise WrongEvent(f"{tool} reported {reported}, and what happened is {expected}")


INSTRUCTIONS = Workload(
    name="instructions",
    title="BPF instructions executed for one event, entry and return together",
    units={name: unit for tool in TOOLS for name, unit in ((tool, ""), (f"{tool}, calls", ""))},
    contestants=contestants,
    figures=tuple(
        Figure(f"BPF instructions for an event of {tool}", tool, "bpfprobe", "bcc", 1.0)
        for tool in TOOLS
    ),
    once=True,
)
