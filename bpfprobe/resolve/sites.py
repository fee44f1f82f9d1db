"""Point -> site: the place is there, can be probed, and is the only one of its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, TargetError, spec_error
from bpfprobe.model.machine import FileOffset, VirtualAddress
from bpfprobe.model.site import KernelSite, TracepointSite, UserSite, UserSites
from bpfprobe.resolve.boundary import boundary_note
from bpfprobe.resolve.missing_function import no_such_function, several_functions
from bpfprobe.resolve.missing_kernel_function import no_kernel_function

if TYPE_CHECKING:
    from bpfprobe.model.machine import Binary, BinarySymbol, Symbol, Tracepoint
    from bpfprobe.model.span import Span
    from bpfprobe.model.spec import (
        KernelPoint,
        TracepointPoint,
        UsdtPoint,
        UserPoint,
    )
    from bpfprobe.target import Target


_KERNEL_CODES = {"NO_FILE": "FILE_NOT_FOUND", "NOT_REGULAR": "NO_REGULAR_FILE"}


def kernel_site(point: KernelPoint, span: Span, target: Target) -> KernelSite:
    """The kernel function of a point. Raises `SpecError` with the cause of its own."""
    if not point.symbol:
        return KernelSite("", 0, point.returns, "", point.address)
    symbols = [s for s in target.symbols(point.symbol) if s.is_text]
    if point.module:
        symbols = [s for s in symbols if s.module == point.module]
    if not symbols:
        raise no_kernel_function(point, span, target)
    if len(symbols) > 1:
        modules = sorted({s.module or "the kernel itself" for s in symbols})
        raise spec_error(
            "NON_UNIQ_SYMBOL",
            f"{len(symbols)} functions are called {point.symbol} (in {', '.join(modules)})",
            span,
            "name the module (MODULE:FUNCTION), or a function with a name of its own",
        )
    if target.is_blacklisted(point.symbol):
        raise spec_error(
            "FAIL_REG_PROBE",
            f"{point.symbol} is on the kernel's list of functions that kprobes must not touch",
            span,
            "probe a function that it calls or that calls it",
        )
    unlisted = target.is_traceable(point.symbol) is False
    if unlisted and not point.offset and not point.force:
        raise spec_error(
            "FAIL_REG_PROBE",
            f"{point.symbol} is there but cannot be traced (marked notrace, or without an entry "
            "that ftrace can patch)",
            span,
            "bpfprobe list 'kprobe:...' shows what can be probed; bpfprobe trace -F tries it all "
            "the same",
        )
    _check_offset(point, symbols[0], span, target)
    return KernelSite(point.symbol, point.offset, point.returns, point.module or symbols[0].module)


def _check_offset(point: KernelPoint, symbol: Symbol, span: Span, target: Target) -> None:
    """Refuse a place behind the function's end: it would be another function's."""
    if not point.offset or not symbol.address:
        return
    here = target.symbol_at(symbol.address + point.offset)
    if here is None or here.start != symbol.address:
        whole = target.symbol_at(symbol.address)
        raise spec_error(
            "BAD_PROBE_ADDR",
            f"{point.symbol} is {whole.size if whole else 0} bytes long",
            span,
            f"there is {here.name} at this place" if here else "the offset counts from its start",
        )


def user_site(point: UserPoint, span: Span, target: Target) -> tuple[UserSite, Binary, str]:
    """The place in a file of a point, and what could not be checked of it.

    Raises `SpecError` with the cause of its own.
    """
    try:
        binary = mapped_binary(point, span, target)
        symbol, offset = _file_offset(point, span, target, binary)
        note = boundary_note(point, FileOffset(offset), span, target, binary)
    except TargetError as error:
        raise _not_there(error, span) from error
    _refuse_go(point, span, binary)
    site = UserSite(
        binary.path, FileOffset(offset), point.returns, point.pid, symbol, point.ref_ctr_offset
    )
    return site, binary, note


def _not_there(error: TargetError, span: Span) -> SpecError:
    """What is wrong with a file, by the kernel's name for it where it has one."""
    code = _KERNEL_CODES.get(error.code, error.code)
    return spec_error(code, error.message, span, error.hint)


def line_sites(
    point: UserPoint, span: Span, target: Target, max_places: int
) -> tuple[tuple[UserSite, ...], Binary]:
    """Every place of a file where the code of a source line begins. Raises `SpecError`."""
    try:
        binary = mapped_binary(point, span, target)
        addresses = target.source_lines(binary, point.symbol, point.line)
    except TargetError as error:
        raise _not_there(error, span) from error
    if len(addresses) > max_places:
        stands = f"the code of {point.symbol}:{point.line} stands at {len(addresses)} places"
        raise _too_many_places(stands, max_places, span, "name one by its address")
    name = f"{point.symbol}:{point.line}"
    sites = tuple(
        UserSite(
            binary.path,
            FileOffset(_offset_of_address(address, span, binary)),
            pid=point.pid,
            symbol=name,
        )
        for address in addresses
    )
    return sites, binary


def virtual_address(offset: int, binary: Binary) -> VirtualAddress | None:
    """Where a place of a file is as its own headers have it, None for what is no code."""
    for start, size, address in binary.text:
        if start <= offset < start + size:
            return VirtualAddress(offset - start + address)
    return None


def matching_sites(
    point: UserPoint, span: Span, target: Target, max_places: int
) -> tuple[UserSites, Binary]:
    """All functions of a file whose name fits a glob, each place once. Raises `SpecError`."""
    try:
        binary = mapped_binary(point, span, target)
        found: dict[int, str] = {}
        names = target.matching_binary_symbols(binary, point.symbol)
        for name in names:
            for symbol in target.binary_symbols(binary, name):
                found.setdefault(symbol.offset, name)
            if len(found) > max_places:
                fit = f"{len(names)} functions of {binary.path} fit {point.symbol}"
                raise _too_many_places(fit, max_places, span, "a narrower glob, several probes")
    except TargetError as error:
        raise _not_there(error, span) from error
    if not found:
        near = target.similar_binary_symbols(binary, point.symbol.strip("*?"))
        raise spec_error(
            "BAD_PROBE_ADDR",
            f"no function of {binary.path} fits {point.symbol}",
            span,
            f"did you mean {' or '.join(near[:3])}?" if near else None,
        )
    _refuse_go(point, span, binary)
    offsets = sorted(found)
    sites = UserSites(
        binary.path,
        tuple(FileOffset(offset) for offset in offsets),
        tuple(found[offset] for offset in offsets),
        point.symbol,
        point.returns,
        point.pid,
    )
    return sites, binary


def _too_many_places(finding: str, max_places: int, span: Span, way_out: str) -> SpecError:
    return spec_error(
        "TOO_MANY_PLACES",
        f"{finding}, and {max_places} is the most that one probe goes to",
        span,
        f"{way_out}, or --max-places N (max_places=N) where so many are meant",
    )


def mapped_binary(point: UserPoint | UsdtPoint, span: Span, target: Target) -> Binary:
    """The file of a point, run by its process if it names one.

    Raises `SpecError`, `TargetError`.
    """
    binary = target.binary(point.path, point.pid)
    if point.pid is not None and not target.process_maps_binary(point.pid, binary):
        raise spec_error(
            "PID_NOT_MAPPED",
            f"process {point.pid} does not run code from {binary.path}",
            span,
            f"/proc/{point.pid}/maps lists the files that it does",
        )
    return binary


def _refuse_go(point: UserPoint, span: Span, binary: Binary) -> None:
    if point.returns and binary.is_go and not point.force:
        raise spec_error(
            "GO_RETURN",
            f"{binary.path} is a Go program: a return probe can crash it, because Go moves stacks",
            span,
            "probe the entry, or the places it returns from by offset; force=True or --force tries "
            "it all the same",
        )


def _file_offset(point: UserPoint, span: Span, target: Target, binary: Binary) -> tuple[str, int]:
    if point.symbol:
        found = _one_symbol(point, span, target, binary)
        if found.size and point.plus >= found.size:  # functions in assembler may have no size
            raise spec_error(
                "BAD_UPROBE_OFFS",
                f"{point.symbol} is {found.size} bytes long",
                span,
                "the offset counts from its start",
            )
        offset = found.offset + point.plus
    elif point.address is not None:
        offset = _offset_of_address(point.address, span, binary)
    else:
        offset = point.offset or 0
    if not any(start <= offset < start + size for start, size, _ in binary.text):
        where = ", ".join(f"{start:#x} to {start + size:#x}" for start, size, _ in binary.text)
        raise spec_error(
            "BAD_UPROBE_OFFS",
            f"offset {offset:#x} of {binary.path} is not code",
            span,
            (f"its code is at {where}" if where else "it has no code at all")
            + _file_here(point.path, binary, target),
        )
    plus = f"+{point.plus:#x}" if point.plus else ""
    return f"{point.symbol}{plus}", offset


def _file_here(name: str, binary: Binary, target: Target) -> str:
    """Say that a file of that name is in the current folder, where that is not the one meant."""
    if "/" in name:
        return ""
    try:
        here = target.binary(f"./{name}")
    except TargetError:
        return ""
    return f"; ./{name} is another file" if here.path != binary.path else ""


def _one_symbol(point: UserPoint, span: Span, target: Target, binary: Binary) -> BinarySymbol:
    found = target.binary_symbols(binary, point.symbol)
    if not found:
        raise no_such_function(point.symbol, span, target, binary)
    offsets = {symbol.offset for symbol in found}
    if len(offsets) > 1:
        raise several_functions(point.symbol, span, target, binary, found)
    return found[0]


def _offset_of_address(address: int, span: Span, binary: Binary) -> int:
    for start, size, virtual in binary.text:
        if virtual <= address < virtual + size:
            return start + address - virtual
    raise spec_error(
        "BAD_PROBE_ADDR",
        f"no code of {binary.path} is at address {address:#x}",
        span,
        "address= is what nm(1) prints; a place in the file is offset=",
    )


def tracepoint_site(
    point: TracepointPoint, span: Span, target: Target
) -> tuple[TracepointSite, Tracepoint]:
    """The tracepoint of a point. Raises `SpecError`."""
    found = target.tracepoint(point.category, point.name)
    if found is not None:
        return TracepointSite(found.category, found.name, found.event_id), found
    tracefs = target.facts().tracefs
    if tracefs.present is False:
        raise spec_error(
            "NO_TRACEPOINT",
            f"tracepoints are described in tracefs, which is not there ({tracefs.evidence})",
            span,
            "as root: mount -t tracefs tracefs /sys/kernel/tracing",
        )
    code = "BAD_ATTACH_EVENT" if point.is_eprobe else "NO_TRACEPOINT"
    near = [*target.matching_tracepoints(f"{point.category}:*{point.name}*")]
    near += [n for n in target.matching_tracepoints(f"*:{point.name}") if n not in near]
    raise spec_error(
        code,
        f"this kernel has no tracepoint {point.category}:{point.name}",
        span,
        f"did you mean {' or '.join(near[:3])}?" if near else "bpfprobe list 'tracepoint:*'",
    )
