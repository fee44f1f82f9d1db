"""The helpers of the kernel that tracers call, by their numbers in enum bpf_func_id."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from tests.machine.maps import Channel, Table
from tests.machine.memory import USER_END, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.machine.machine import Machine

    Helper = Callable[[Machine, int, int, int, int, int], int]

WAKE_NEVER, WAKE_ALWAYS = 1, 2  # BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP


def _table(machine: Machine, handle: int) -> Table:
    found = machine.map_at(handle)
    if not isinstance(found, Table):
        raise Fault("a look-up in a buffer")
    return found


def _channel(machine: Machine, handle: int) -> Channel:
    found = machine.map_at(handle)
    if not isinstance(found, Channel):
        raise Fault("a record for what is no buffer")
    return found


def _key(machine: Machine, table: Table, address: int) -> bytes:
    return machine.memory.load(address, table.definition.key_size)


def map_lookup(machine: Machine, handle: int, key: int, *rest: int) -> int:
    table = _table(machine, handle)
    return table.address(_key(machine, table, key))


def map_update(machine: Machine, handle: int, key: int, value: int, flags: int, *rest: int) -> int:
    table = _table(machine, handle)
    data = machine.memory.load(value, table.definition.value_size)
    return table.set(_key(machine, table, key), data, flags)


def map_delete(machine: Machine, handle: int, key: int, *rest: int) -> int:
    table = _table(machine, handle)
    return table.remove(_key(machine, table, key))


def _read(machine: Machine, to: int, size: int, source: int, *, text: bool) -> int:
    size &= 0xFFFFFFFF
    try:
        data = machine.memory.text(source, size) if text else machine.memory.peek(source, size)
    except Fault:
        machine.memory.store(to, bytes(size))
        return -errno.EFAULT
    if text:
        data = data[: size - 1] + b"\0" if size else b""
    machine.memory.store(to, data)
    return len(data) if text else 0


def _reader(*, text: bool, user: bool | None) -> Helper:
    """A reader of user memory, of the kernel's, or (None) of whichever the address says."""

    def read(machine: Machine, to: int, size: int, source: int, *rest: int) -> int:
        if user is not None and (source < USER_END) is not user:
            source = 0  # where nothing is
        return _read(machine, to, size, source, text=text)

    return read


def get_comm(machine: Machine, to: int, size: int, *rest: int) -> int:
    name = machine.task.comm.encode()[: size - 1]
    machine.memory.store(to, name.ljust(size, b"\0"))
    return 0


def perf_output(
    machine: Machine, context: int, handle: int, flags: int, data: int, size: int
) -> int:
    _channel(machine, handle).send(machine.memory.load(data, size), wake=True)
    return 0


def ring_output(machine: Machine, handle: int, data: int, size: int, flags: int, *rest: int) -> int:
    ring = _channel(machine, handle)
    if not ring.has_room(size):
        return -errno.EAGAIN
    ring.send(machine.memory.load(data, size), wake=_wakes(ring, flags))
    return 0


def ring_reserve(machine: Machine, handle: int, size: int, *rest: int) -> int:
    ring = _channel(machine, handle)
    if not ring.has_room(size):
        return 0
    address = machine.memory.make(bytes(size))
    ring.reserve(address, size)
    machine.reserved[address] = ring
    return address


def ring_submit(machine: Machine, record: int, flags: int, *rest: int) -> int:
    ring = machine.reserved.pop(record)
    size = ring.settle(record)
    ring.send(machine.memory.load(record, size), wake=_wakes(ring, flags))
    machine.memory.drop(record)
    return 0


def ring_discard(machine: Machine, record: int, *rest: int) -> int:
    machine.reserved.pop(record).settle(record)
    machine.memory.drop(record)
    return 0


def ring_query(machine: Machine, handle: int, what: int, *rest: int) -> int:
    ring = _channel(machine, handle)
    if what > 1:
        raise Fault(f"the machine keeps no ring positions (flag {what})")
    return ring.definition.max_entries if what else ring.pending


def _wakes(ring: Channel, flags: int) -> bool:
    """As the kernel decides: unless told, when the reader has taken all there was."""
    if flags & WAKE_ALWAYS:
        return True
    return not flags & WAKE_NEVER and not ring.pending


HELPERS: dict[int, tuple[str, Helper]] = {
    1: ("map_lookup_elem", map_lookup),
    2: ("map_update_elem", map_update),
    3: ("map_delete_elem", map_delete),
    4: ("probe_read", _reader(text=False, user=None)),
    5: ("ktime_get_ns", lambda machine, *_: machine.tick()),
    8: ("get_smp_processor_id", lambda machine, *_: machine.task.cpu),
    14: ("get_current_pid_tgid", lambda machine, *_: machine.task.thread),
    15: ("get_current_uid_gid", lambda machine, *_: machine.task.user),
    16: ("get_current_comm", get_comm),
    25: ("perf_event_output", perf_output),
    35: ("get_current_task", lambda machine, *_: machine.task.address),
    45: ("probe_read_str", _reader(text=True, user=None)),
    80: ("get_current_cgroup_id", lambda machine, *_: machine.task.cgroup),
    112: ("probe_read_user", _reader(text=False, user=True)),
    113: ("probe_read_kernel", _reader(text=False, user=False)),
    114: ("probe_read_user_str", _reader(text=True, user=True)),
    115: ("probe_read_kernel_str", _reader(text=True, user=False)),
    125: ("ktime_get_boot_ns", lambda machine, *_: machine.tick()),
    130: ("ringbuf_output", ring_output),
    131: ("ringbuf_reserve", ring_reserve),
    132: ("ringbuf_submit", ring_submit),
    133: ("ringbuf_discard", ring_discard),
    134: ("ringbuf_query", ring_query),
}
