"""``struct perf_event_attr`` for each kind of site, and the PMUs that own them.

A PMU is a kernel driver that perf events belong to; the kprobe and uprobe ones (Linux 4.17, commits
e12f03d7031a and 33ea4b24277b) make a probe that ends with its descriptor, leaving nothing in
tracefs behind a process that was killed.
"""

from __future__ import annotations

import ctypes
import struct
import time

from bpfprobe.errors import AttachError
from bpfprobe.model.noun import dataclass
from bpfprobe.model.site import KernelSite, SingleSite, TracepointSite

# The first 72 bytes (PERF_ATTR_SIZE_VER1) hold all that is needed: type, size, config,
# sample_period, sample_type, read_format, flag bits, wakeup_watermark, bp_type, config1, config2.
_ATTR = struct.Struct("=IIQQQQQIIQQ")
# As far as the clock (PERF_ATTR_SIZE_VER3): branch_sample_type, sample_regs_user,
# sample_stack_user, clockid.
_ATTR_WITH_CLOCK = struct.Struct("=IIQQQQQIIQQQQIi")

_PERF_TYPE_SOFTWARE, _PERF_TYPE_TRACEPOINT = 1, 2
_COUNT_SW_DUMMY, _COUNT_SW_BPF_OUTPUT = 9, 10
_SAMPLE_TIME, _SAMPLE_RAW = 1 << 2, 1 << 10
_FLAG_WATERMARK = 1 << 14
# mmap, comm, task, sample_id_all, mmap2 (Linux 3.16), comm_exec, use_clockid (Linux 4.1)
_FLAGS_OF_PROCESSES = 1 << 8 | 1 << 9 | 1 << 13 | 1 << 18 | 1 << 23 | 1 << 24 | 1 << 25

_REF_CTR_SHIFT = 32  # config bits 32-63 of the uprobe PMU (Linux 4.20, commit a6ca88b241d5)
_REF_CTR_LIMIT = 1 << 32

DEVICES = "/sys/bus/event_source/devices"


@dataclass(frozen=True, slots=True)
class PerfRequest:
    """What perf_event_open(2) is asked for. ``text`` owns the bytes that ``attr`` points to."""

    attr: bytes
    pid: int
    cpu: int
    text: ctypes.Array[ctypes.c_char] | None = None


@dataclass(frozen=True, slots=True)
class ProbePmu:
    """A PMU of probes: its type number, the bit for returns, and if it takes semaphores."""

    type: int
    return_bit: int
    takes_ref_ctr: bool


def read_pmu(name: str, root: str = DEVICES) -> ProbePmu | None:
    """The PMU ``kprobe`` or ``uprobe``; None where the kernel has none."""
    try:
        with open(f"{root}/{name}/type") as file:
            number = int(file.read())
        with open(f"{root}/{name}/format/retprobe") as file:
            bit = int(file.read().partition(":")[2])  # "config:0"
    except FileNotFoundError:
        return None
    try:
        with open(f"{root}/{name}/format/ref_ctr_offset"):
            takes_ref_ctr = True
    except FileNotFoundError:
        takes_ref_ctr = False
    return ProbePmu(number, bit, takes_ref_ctr)


def request(site: SingleSite, pmu: ProbePmu | None, *, plain_name: bool = False) -> PerfRequest:
    """The request for a site; ``pmu`` is not looked at for a tracepoint.

    ``plain_name`` leaves the module out of a function's name: since Linux 6.6 (commit
    b022f0c7e404) the kernel counts a name among all symbols, and finds none with a colon.
    Raises `AttachError` (NO_KPROBES, NO_UPROBES, REF_CTR).
    """
    if isinstance(site, TracepointSite):
        # Any one CPU will do: a BPF program of a tracepoint runs on all of them.
        return PerfRequest(_attr(_PERF_TYPE_TRACEPOINT, site.event_id), pid=-1, cpu=0)
    if pmu is None:
        raise _no_pmu(site)
    config = 1 << pmu.return_bit if site.returns else 0
    if isinstance(site, KernelSite):
        if site.address:
            attr = _attr(pmu.type, config, 0, site.address + site.offset)
            return PerfRequest(attr, pid=-1, cpu=0)
        named = site.module and not plain_name
        text = _text(f"{site.module}:{site.function}" if named else site.function)
        attr = _attr(pmu.type, config, ctypes.addressof(text), site.offset)
        return PerfRequest(attr, pid=-1, cpu=0, text=text)
    if site.ref_ctr_offset and not pmu.takes_ref_ctr:
        raise AttachError(
            f"{site}: this kernel cannot count a USDT semaphore for us",
            site=str(site),
            hint="ref_ctr_offset needs Linux 4.20",
            code="REF_CTR",
        )
    if not 0 <= site.ref_ctr_offset < _REF_CTR_LIMIT:
        raise AttachError(
            f"{site}: the semaphore is {site.ref_ctr_offset:#x} bytes into the file, and the "
            "kernel takes 32 bits",
            site=str(site),
            code="REF_CTR",
        )
    config |= site.ref_ctr_offset << _REF_CTR_SHIFT
    text = _text(site.path)
    attr = _attr(pmu.type, config, ctypes.addressof(text), site.offset)
    pid, cpu = (-1, 0) if site.pid is None else (site.pid, -1)
    return PerfRequest(attr, pid, cpu, text)


def output_request(cpu: int, wakeup_bytes: int) -> PerfRequest:
    """The event whose buffer takes what programs send on a CPU (bpf_perf_event_output)."""
    attr = _ATTR.pack(
        _PERF_TYPE_SOFTWARE,
        _ATTR.size,
        _COUNT_SW_BPF_OUTPUT,
        1,  # sample_period: each one
        _SAMPLE_RAW,
        0,
        _FLAG_WATERMARK,
        wakeup_bytes,
        0,
        0,
        0,
    )
    return PerfRequest(attr, pid=-1, cpu=cpu)


def process_request(cpu: int, wakeup_bytes: int) -> PerfRequest:
    """The event that only tells of processes on a CPU: what they map, fork, execute; their end.

    By a clock that all CPUs share: perf's own can differ by milliseconds between two of them, and
    then a program's first mapping seems to come before the fork that it began with.
    """
    attr = _ATTR_WITH_CLOCK.pack(
        _PERF_TYPE_SOFTWARE,
        _ATTR_WITH_CLOCK.size,
        _COUNT_SW_DUMMY,
        0,
        _SAMPLE_TIME,
        0,
        _FLAGS_OF_PROCESSES | _FLAG_WATERMARK,
        wakeup_bytes,
        0,
        0,
        0,
        0,
        0,
        0,
        time.CLOCK_MONOTONIC,
    )
    return PerfRequest(attr, pid=-1, cpu=cpu)


def _attr(type_: int, config: int, config1: int = 0, config2: int = 0) -> bytes:
    return _ATTR.pack(type_, _ATTR.size, config, 0, 0, 0, 0, 0, 0, config1, config2)


def _text(text: str) -> ctypes.Array[ctypes.c_char]:
    # Surrogates stand for bytes that are no UTF-8, as in names of files.
    return ctypes.create_string_buffer(text.encode(errors="surrogateescape"))


def _no_pmu(site: SingleSite) -> AttachError:
    if isinstance(site, KernelSite):
        return AttachError(
            f"{site}: this kernel was built without kprobes (CONFIG_KPROBE_EVENTS), or "
            f"{DEVICES}/kprobe is hidden from here",
            site=str(site),
            hint="bpfprobe lab -- COMMAND runs it in a guest whose kernel has them",
            code="NO_KPROBES",
        )
    return AttachError(
        f"{site}: this kernel was built without uprobes (CONFIG_UPROBE_EVENTS), or "
        f"{DEVICES}/uprobe is hidden from here",
        site=str(site),
        hint="bpfprobe lab -- COMMAND runs it in a guest whose kernel has them",
        code="NO_UPROBES",
    )
