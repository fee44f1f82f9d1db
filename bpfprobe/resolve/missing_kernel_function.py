"""Why the kernel has no function of a name: it was renamed, is data, or another was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, TargetError, spec_error
from bpfprobe.model.machine import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.span import Span
    from bpfprobe.model.spec import KernelPoint
    from bpfprobe.target import Target

_RENAMED = {
    # Linux commit cad6967ac108 (in v5.10)
    "do_fork": ("kernel_clone", "_do_fork"), "_do_fork": ("kernel_clone",),
    # fddb5d430ad9 (v5.6); do_sys_open calls it
    "do_sys_open": ("do_sys_openat2",),
    # be6bfe36db17 (v5.16), and later taken back; the others are called at the same time
    "blk_account_io_done": ("__blk_account_io_done", "blk_mq_end_request"),
    "__blk_account_io_done": ("blk_account_io_done", "blk_mq_end_request"),
    "blk_account_io_start": ("__blk_account_io_start", "blk_mq_start_request"),
    "__blk_account_io_start": ("blk_account_io_start", "blk_mq_start_request"),
    "blk_start_request": ("blk_mq_start_request",),
    # folios (v5.16), as bcc's cachestat and readahead look for them
    "add_to_page_cache_lru": ("filemap_add_folio",),
    "mark_page_accessed": ("folio_mark_accessed",),
    "account_page_dirtied": ("folio_account_dirtied",),
    "__do_page_cache_readahead": ("do_page_cache_ra", "page_cache_ra_unbounded"),
    # allocation profiling: v6.10
    "kmem_cache_alloc": ("kmem_cache_alloc_noprof",), "__kmalloc": ("__kmalloc_noprof",),
    "kmalloc": ("__kmalloc_noprof", "__kmalloc"), "vmalloc": ("vmalloc_noprof",),
    "finish_task_switch": ("finish_task_switch.isra.0",),
    "do_execve": ("do_execveat_common.isra.0", "bprm_execve"),
}  # fmt: skip
"""Functions that many texts name, and what they are called in other kernels, the best first."""


def probeable(names: Iterable[str], target: Target) -> list[str]:
    """Return those of the names that a kprobe can go to, as far as it is known."""
    return [name for name in names if _is_probeable(name, target)]


def _is_probeable(name: str, target: Target) -> bool:
    try:
        found = [symbol for symbol in target.symbols(name) if symbol.is_text]
        if not found or len(found) > 1 or target.is_blacklisted(name):
            return False
        return target.is_traceable(name) is not False
    except TargetError:  # a recording that was never asked
        return True


def no_kernel_function(point: KernelPoint, span: Span, target: Target) -> SpecError:
    """Return the refusal of a kernel function that is not there, or is not one."""
    elsewhere = [s for s in target.symbols(point.symbol)]
    release = target.facts().release
    if point.module and (refusal := _not_loaded(point, span, target)):
        return refusal
    if point.module and elsewhere:
        places = sorted({s.module or "the kernel itself" for s in elsewhere if s.is_text})
        return spec_error(
            "BAD_PROBE_ADDR",
            f"module {point.module} has no function {point.symbol}",
            span,
            f"it is in {', '.join(places)}" if places else _data_hint(point),
        )
    if elsewhere:
        return spec_error(
            "BAD_PROBE_ADDR", f"{point.symbol} is data, not a function", span, _data_hint(point)
        )
    if call := _system_call(point.symbol, target):
        return spec_error(
            "BAD_PROBE_ADDR",
            f"this kernel ({release}) has no function {point.symbol}: system calls are wrapped",
            span,
            f"syscall:{call} has its arguments by name; the wrapper's only one (since Linux 4.17) "
            "points to the registers of the caller",
        )
    near = probeable(target.similar_functions(point.symbol), target)
    renamed = probeable(_RENAMED.get(point.symbol, ()), target)
    variants = [name for name in near if name.startswith(f"{point.symbol}.")]
    if renamed:
        hint = f"did you mean {renamed[0]}? It does the same in this kernel"
    elif variants:
        hint = (
            f"the compiler made {', '.join(variants)} of it: its arguments may be others, "
            "so it must be named in full"
        )
    elif near:
        hint = f"did you mean {' or '.join(near[:3])}? bpfprobe list shows what can be probed"
    else:
        hint = (
            "bpfprobe list 'kprobe:PATTERN' shows what can be probed; it may have been inlined, "
            "left out of this kernel, or be in a module that is not loaded"
        )
    return spec_error(
        "BAD_PROBE_ADDR",
        f"this kernel ({release}) has no function {point.symbol}",
        span,
        hint,
    )


def _not_loaded(point: KernelPoint, span: Span, target: Target) -> SpecError | None:
    """Return the refusal of a function in a module that is not there."""
    try:
        answer = target.module(point.module)
    except TargetError:  # a recording that was never asked
        return None
    if answer.present or answer == UNKNOWN:
        return None
    places = {s.module for s in target.symbols(point.symbol) if s.is_text}
    if places:
        names = sorted(f"{place}:{point.symbol}" if place else point.symbol for place in places)
        hint = f"did you mean {' or '.join(names)}?"
    else:
        hint = answer.way_out or "bpfprobe list 'kprobe:PATTERN' shows what can be probed"
    return spec_error("BAD_PROBE_ADDR", answer.evidence, span, hint)


def _system_call(symbol: str, target: Target) -> str:
    """The system call that ``sys_NAME`` or ``SyS_NAME`` was the function of, or ""."""
    name = symbol.partition("_")[2]
    if symbol[:4].lower() != "sys_" or not name:
        return ""
    wrappers = (f"{prefix}_sys_{name}" for prefix in ("__x64", "__arm64"))
    return name if any(target.symbols(wrapper) for wrapper in wrappers) else ""


def _data_hint(point: KernelPoint) -> str:
    return f"as a capture of another probe, @{point.symbol} reads it"
