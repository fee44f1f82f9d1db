"""``bpfprobe list``: what can be probed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.cli.probable import sifted, why_no_kprobe, why_no_kprobes
from bpfprobe.deliver.escape import escape
from bpfprobe.errors import BpfprobeError, TargetError, UsageError
from bpfprobe.model.options import MAX_ID, check_whole
from bpfprobe.output import report, report_error, show
from bpfprobe.parse.place import path_of
from bpfprobe.target.nearness import nearest_names

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from bpfprobe.model.machine import Binary, BinarySymbol
    from bpfprobe.target import Target

    LeftOut = Callable[[int], object]

HELP = "show the places that a glob matches, one per line"
EPILOG = """\
patterns:
  kprobe:vfs_*                kernel functions; kprobe:MODULE:* those of a module
  tracepoint:sched:*          tracepoints
  syscall:open*               system calls by their names in the manual
  uprobe:/bin/bash:read*      functions of a program, or of a library (uprobe:c:malloc*); a C++ or
                              Rust name stands beside its symbol, and uprobe:PATH:ns::* fits it
  usdt:python3:gc*            markers of a program or library; usdt:* with -p those of a process
  vfs_*                       kernel functions and tracepoints

Only what can be probed here is listed: no kernel function that kprobes must not touch, none that
ftrace does not reach, no name that several functions have. -a lists these too, with the reason.

Names of kernel functions need no privilege; only root can see which of them cannot be probed.
Tracepoints are in tracefs, which only root may read unless it was mounted otherwise.

With --defined: the events in kprobe_events, uprobe_events and dynamic_events whose GROUP/EVENT or
place fits, and every other kprobe; STATE is the kernel's (debugfs, kprobes/list), ARMED is one with
a breakpoint, HITS and MISSED are of its profiles.

exit status: 0 when something was found, else 1.

examples:
  bpfprobe list -v 'kprobe:vfs_*'
  bpfprobe list 'tracepoint:sched:*'
  bpfprobe list -p 1234 'uprobe:c:mem*'
  sudo bpfprobe list --defined
  sudo bpfprobe list --defined --json 'kprobes/*'
"""

_WRAPPERS = ("__x64_sys_", "__arm64_sys_", "__s390x_sys_", "__riscv_sys_", "sys_")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    import argparse

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", default="*", help="see below")
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="add arguments or fields with their types; -vv for markers: where each argument is",
    )
    parser.add_argument(
        "-a", "--all", action="store_true", help="what cannot be probed too, with the reason"
    )
    parser.add_argument(
        "-p", "--pid", type=int, help="find the file of uprobe: or usdt: as this process sees it"
    )
    parser.add_argument(
        "--defined", action="store_true", help="what is defined in tracefs, by any tool"
    )
    parser.add_argument("--json", action="store_true", help="with --defined: as JSON")


def run(args: argparse.Namespace) -> int:
    """Carry out the command line, and return the exit status."""
    if args.pid is not None:
        check_whole("-p (--pid)", args.pid, 0, MAX_ID)
    if args.defined:
        return _defined(args)
    if args.json:
        raise UsageError("--json is for --defined", hint="places to probe are a line each")
    from bpfprobe.target.live import LiveTarget

    try:
        left_out = None if args.all else _say_left_out
        target = LiveTarget()
        for line in list_points(args.pattern, target, args.verbose, args.pid, left_out):
            show(escape(line))
    except BpfprobeError as error:
        report_error("bpfprobe", error)
        return 1
    return 0


def _defined(args: argparse.Namespace) -> int:
    if args.pid is not None:
        raise UsageError("-p and --defined exclude each other", hint="events have no process")
    from bpfprobe.cli.defined import list_defined
    from bpfprobe.target.event_files import EventFiles
    from bpfprobe.target.processes import Processes

    return list_defined(
        EventFiles(), Processes(), args.pattern, verbose=args.verbose > 0, as_json=args.json
    )


def _say_left_out(count: int) -> None:
    report(f"bpfprobe: {count} more cannot be probed here; -a shows them, with the reason")


def list_points(
    pattern: str,
    target: Target,
    verbose: int = 0,
    pid: int | None = None,
    left_out: LeftOut | None = lambda count: None,
) -> Iterator[str]:
    """A line for each place that the pattern names.

    What cannot be probed is left out, and ``left_out`` called with how many they are; where that is
    None they are listed as well, each with the reason. Raises `TargetError`: NOTHING_FITS with near
    misses, NOT_HERE where nothing that fits can be probed, BAD_PATTERN, NO_TRACEFS, and those of
    `Target.binary`.
    """
    kind, colon, rest = pattern.partition(":")
    if not colon:
        return _anything(pattern, target, verbose > 0, left_out)
    match kind:
        case "kprobe" | "kretprobe":
            return _kernel(kind, rest, target, verbose > 0, left_out)
        case "tracepoint":
            return _tracepoints(rest, target, verbose > 0)
        case "syscall":
            return _syscalls(rest, target, verbose > 0)
        case "uprobe" | "uretprobe":
            return _user(kind, rest, target, pid, verbose > 0)
        case "usdt":
            from bpfprobe.cli.markers import list_markers

            return list_markers(rest, target, verbose, pid)
    raise TargetError(
        f"there is no kind of probe {kind!r}",
        code="BAD_PATTERN",
        hint="kinds are kprobe, kretprobe, uprobe, uretprobe, usdt, tracepoint and syscall",
    )


def _anything(
    pattern: str, target: Target, verbose: bool, left_out: LeftOut | None
) -> Iterator[str]:
    functions = target.matching_functions(pattern)
    events = {
        event
        for glob in (f"*:{pattern}", f"{pattern}:*")
        for event in target.matching_tracepoints(glob)
    }
    if not functions and not events:
        raise _nothing(f"no kernel function or tracepoint fits {pattern}", pattern, target)
    if functions and events and left_out is not None and why_no_kprobes(target):
        left_out(len(functions))
        functions = ()
    if functions:
        yield from _functions("kprobe", "", functions, target, verbose, left_out)
    yield from _events(sorted(events), target, verbose)


def _kernel(
    kind: str, pattern: str, target: Target, verbose: bool, left_out: LeftOut | None
) -> Iterator[str]:
    module, colon, glob = pattern.rpartition(":")
    functions = target.matching_functions(glob)
    if colon:
        functions = tuple(
            name for name in functions if any(s.module == module for s in target.symbols(name))
        )
    if not functions:
        where = f"module {module}" if colon else "this kernel"
        raise _nothing(f"no function of {where} fits {glob}", glob, target)
    prefix = f"{kind}:{module}" if colon else kind
    yield from _functions(prefix, module, functions, target, verbose, left_out)


def _functions(
    prefix: str,
    module: str,
    functions: tuple[str, ...],
    target: Target,
    verbose: bool,
    left_out: LeftOut | None,
) -> Iterator[str]:
    none = why_no_kprobes(target)
    if none and left_out is not None:
        raise TargetError(
            f"{_counted(functions)}, and none can be probed: {none}",
            code="NOT_HERE",
            hint=f"{target.facts().kprobes.way_out or 'bpfprobe lab has kernels with them'}; "
            "list -a shows the functions",
        )
    for name, reason in sifted(
        functions, lambda name: none or why_no_kprobe(name, module, target), left_out
    ):
        yield f"{prefix}:{name}" + (f"  ({reason})" if reason else "")
        if verbose:
            yield from _about_function(name, target)


def _counted(functions: tuple[str, ...]) -> str:
    return "1 function fits" if len(functions) == 1 else f"{len(functions)} functions fit"


def _about_function(name: str, target: Target) -> Iterator[str]:
    prototype = target.prototype(name)
    modules = {s.module for s in target.symbols(name)} if prototype is None else set()
    for module in sorted(modules - {""}):
        prototype = prototype or target.prototype(name, module)
    yield f"    {prototype or 'no types: BTF does not have it'}"


def _tracepoints(pattern: str, target: Target, verbose: bool) -> Iterator[str]:
    glob = pattern if ":" in pattern else f"*:{pattern}"
    events = target.matching_tracepoints(glob)
    if not events:
        _need_tracefs(target)
        near = nearest_names(pattern, target.matching_tracepoints("*"))
        raise _refused(f"no tracepoint fits {pattern}", near)
    yield from _events(list(events), target, verbose)


def _events(events: list[str], target: Target, verbose: bool) -> Iterator[str]:
    for event in events:
        yield f"tracepoint:{event}"
        found = target.tracepoint(*event.split(":", 1)) if verbose else None
        for field in found.fields if found else ():
            yield f"    {field.declaration}"


def _syscalls(pattern: str, target: Target, verbose: bool) -> Iterator[str]:
    """From the tracepoints, which carry the arguments; without tracefs from their functions."""
    entries = target.matching_tracepoints(f"syscalls:sys_enter_{pattern}")
    if entries:
        for event in entries:
            yield f"syscall:{event.removeprefix('syscalls:sys_enter_')}"
            found = target.tracepoint(*event.split(":", 1)) if verbose else None
            for field in found.fields if found else ():
                if field.name != "__syscall_nr":
                    yield f"    {field.declaration}"
        return
    names = _syscall_functions(pattern, target)
    if not names:
        near = nearest_names(pattern, _syscall_functions("*", target))
        raise _refused(f"no system call fits {pattern}", near)
    for name in names:
        yield f"syscall:{name}"
        if verbose:
            # __do_sys_NAME is what SYSCALL_DEFINE makes of the arguments.
            prototype = target.prototype(f"__do_sys_{name}")
            yield f"    {prototype or 'no types without tracefs'}"


def _syscall_functions(pattern: str, target: Target) -> list[str]:
    for prefix in _WRAPPERS:
        names = target.matching_functions(prefix + pattern)
        if names:
            return [name.removeprefix(prefix) for name in names]
    return []


def _user(kind: str, pattern: str, target: Target, pid: int | None, verbose: bool) -> Iterator[str]:
    path = path_of(pattern) or pattern.removesuffix(":")
    glob = pattern[len(path) + 1 :]
    binary = target.binary(path, pid)
    names = target.matching_binary_symbols(binary, glob or "*")
    if not names:
        near = target.similar_binary_symbols(binary, glob)
        raise _refused(f"no function of {binary.path} fits {glob}", near)
    for name in names:
        source = target.source_name(binary, name)
        yield f"{kind}:{binary.path}:{name}" + (f"  {source}" if source else "")
        for symbol in target.binary_symbols(binary, name) if verbose else ():
            yield f"    {_types_of(symbol, binary, target)}"


def _types_of(symbol: BinarySymbol, binary: Binary, target: Target) -> str:
    """The prototype of a function of a program, or why there is none."""
    try:
        prototype = target.binary_prototype(binary, symbol.address)
    except TargetError as error:
        return f"no types: {error.message}"
    return str(prototype or "no types: there is no debug information of it")


def _need_tracefs(target: Target) -> None:
    answer = target.facts().tracefs
    if answer.present is not True:
        raise TargetError(
            f"tracepoints cannot be listed, tracefs is not there to read: {answer.evidence}",
            code="NO_TRACEFS",
        )


def _nothing(message: str, pattern: str, target: Target) -> TargetError:
    similar: Callable[[str], tuple[str, ...]] = target.similar_functions
    return _refused(message, similar(pattern.strip("*?")))


def _refused(message: str, near: tuple[str, ...]) -> TargetError:
    hint = f"did you mean {', '.join(near)}?" if near else None
    return TargetError(message, code="NOTHING_FITS", hint=hint)
