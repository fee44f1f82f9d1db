"""What a kernel can do, from what it says of itself: yes, no, or cannot be told, with evidence.

Each function takes what was read and looks nowhere else; what takes long to read, such as kallsyms,
it takes as a question to ask when nothing else has told. No answer comes from a version number:
distributions take features back to old kernels and build new ones without.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from bpfprobe.model.machine import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfprobe.target.files import Reading
    from bpfprobe.target.kernel_config import KernelConfig


def kprobes(
    config: KernelConfig,
    pmu_type: Reading,
    armed: Reading,
    ftrace_enabled: Reading,
    has_register_kprobe: Callable[[], bool | None],
) -> Answer:
    """Whether kprobes can be placed and will fire.

    ``armed`` is ``kprobes/enabled`` of debugfs: 0 disarms every kprobe, and attaching goes on to
    succeed. With the sysctl ``kernel.ftrace_enabled`` at 0 a kprobe at the start of a function,
    which stands on ftrace, cannot be armed.
    """
    built, evidence = _kprobes_built(config, pmu_type, has_register_kprobe)
    if built is not True:
        return Answer(built, evidence)
    if armed.text == "0":
        return Answer(False, f"{armed.path} is 0", f"`echo 1 > {armed.path}` arms them")
    if ftrace_enabled.text == "0":
        return Answer(
            False,
            "kernel.ftrace_enabled is 0, and on it they stand at the start of a function",
            "`sysctl kernel.ftrace_enabled=1` switches them on",
        )
    return Answer(True, evidence)


def _kprobes_built(
    config: KernelConfig, pmu_type: Reading, has_register_kprobe: Callable[[], bool | None]
) -> tuple[bool | None, str]:
    if pmu_type.text is not None:
        return True, f"{pmu_type.path} is there"
    for option in ("KPROBES", "KPROBE_EVENTS"):
        if config.value(option) == "n":
            return False, f"built without CONFIG_{option} ({config.source})"
    if config.value("KPROBES") == "y":
        return True, f"CONFIG_KPROBES=y ({config.source})"
    there = has_register_kprobe()
    if there is not None:
        said = "has" if there else "has no"
        return there, f"/proc/kallsyms {said} register_kprobe"
    return None, f"no kernel config, no kallsyms; {pmu_type.problem}"


def pmu(name: str, type_file: Reading, retprobe: Reading) -> Answer:
    """Whether perf_event_open(2) makes probes of this kind (Linux 4.17); its type in evidence."""
    if type_file.text is not None:
        bit = f", retprobe {retprobe.text}" if retprobe.text else ""
        return Answer(True, f"{type_file.path} is {type_file.text}{bit}")
    if type_file.missing:
        return Answer(False, f"no {type_file.path}: the kernel has no {name} PMU")
    return Answer(None, type_file.problem)


def tracefs(mount: str | None, events: Reading | None) -> Answer:
    """Whether tracefs is mounted and may be read; where, in evidence."""
    if mount is None or events is None:
        return Answer(
            False, "not mounted: `mount -t tracefs tracefs /sys/kernel/tracing` (root) does it"
        )
    if events.data is None:
        return Answer(None, f"mounted on {mount}, but {events.problem}")
    return Answer(True, mount)


def btf(vmlinux: Reading, config: KernelConfig) -> Answer:
    """Whether the kernel carries its types (CONFIG_DEBUG_INFO_BTF)."""
    if vmlinux.data is not None:
        return Answer(True, f"{vmlinux.path} is there")
    if vmlinux.missing:
        known = config.value("DEBUG_INFO_BTF")
        why = f", CONFIG_DEBUG_INFO_BTF={known} ({config.source})" if known else ""
        return Answer(False, f"no {vmlinux.path}{why}")
    return Answer(None, vmlinux.problem)


def by_enumerator(
    wanted: str,
    enumeration: str,
    there: bool | None,
    symbol: str,
    has_symbol: Callable[[], bool | None],
) -> Answer:
    """A feature told by a value of an enumeration in BTF, else by a function in kallsyms."""
    if there is not None:
        return Answer(there, f"BTF: enum {enumeration} has {'' if there else 'no '}{wanted}")
    found = has_symbol()
    if found is None:
        return Answer(None, f"no BTF with enum {enumeration}, no /proc/kallsyms")
    return Answer(found, f"/proc/kallsyms has {'' if found else 'no '}{symbol}")


_ENUMERATED = (
    ("ring_buffer", "BPF_MAP_TYPE_RINGBUF", "bpf_map_type", "bpf_ringbuf_output"),
    ("bpf_link", "BPF_LINK_TYPE_PERF_EVENT", "bpf_link_type", "bpf_perf_link_attach"),
    ("uprobe_multi", "BPF_TRACE_UPROBE_MULTI", "bpf_attach_type", "bpf_uprobe_multi_link_attach"),
    ("attach_cookie", "BPF_FUNC_get_attach_cookie", "bpf_func_id", "bpf_get_attach_cookie_pe"),
)
"""An answer, then what `by_enumerator` tells it from."""


def enumerated(
    has_enumerator: Callable[[str, str], bool | None], has_symbol: Callable[[str], bool | None]
) -> dict[str, Answer]:
    """Those answers of `MachineFacts`, by name, that `by_enumerator` tells.

    ``has_enumerator`` takes an enumeration and a name in it; None is for want of a BTF with it.
    """
    return {
        answer: by_enumerator(
            wanted,
            enumeration,
            has_enumerator(enumeration, wanted),
            symbol,
            partial(has_symbol, symbol),
        )
        for answer, wanted, enumeration, symbol in _ENUMERATED
    }


def fentry(
    types: Answer,
    config: KernelConfig,
    traceable: Callable[[], Reading | None],
    has_trampoline: Callable[[], bool | None],
) -> Answer:
    """Whether fentry and fexit can be attached: BTF, trampolines, and an ftrace that works."""
    if types.present is not True:
        return Answer(types.present, f"needs BTF: {types.evidence}")
    for option in ("BPF_JIT", "DYNAMIC_FTRACE_WITH_DIRECT_CALLS"):
        if config.value(option) == "n":
            return Answer(False, f"built without CONFIG_{option} ({config.source})")
    if has_trampoline() is False:
        return Answer(False, "/proc/kallsyms has no bpf_trampoline_link_prog")
    functions = traceable()
    if functions is None or functions.data is None:
        why = functions.problem if functions else "tracefs is not mounted"
        return Answer(None, f"built in, but whether ftrace has functions cannot be read: {why}")
    if not functions.data:
        return Answer(False, f"{functions.path} is empty: ftrace reaches no function")
    return Answer(True, "BTF, BPF trampolines and traceable functions")


def lockdown(state: Reading, config: KernelConfig) -> Answer:
    """Whether the kernel is locked down; evidence starts with the mode where it is known.

    ``integrity`` lets BPF read kernel memory, ``confidentiality`` does not (kernel_lockdown(7)).
    """
    found = re.search(r"\[(\w+)\]", state.text or "")
    if found:
        return Answer(found[1] != "none", f"{found[1]} ({state.path})")
    if config.value("SECURITY_LOCKDOWN_LSM") == "n":
        return Answer(False, f"none: built without CONFIG_SECURITY_LOCKDOWN_LSM ({config.source})")
    return Answer(None, state.problem or f"{state.path} says {state.text!r}")


def count_cpus(possible: str) -> int:
    """How many CPUs a list such as ``0-3,8`` names."""
    total = 0
    for part in filter(None, possible.strip().split(",")):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total
