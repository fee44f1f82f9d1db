"""Where a probe goes: ``vfs_read+0x10``, ``nf_conntrack:nf_ct_delete``, ``/bin/bash:readline``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.noun import replace
from bpfprobe.model.number import NUMBER, number_value
from bpfprobe.model.regex import regex
from bpfprobe.model.spec import KernelPoint, SyscallPoint, TracepointPoint, UsdtPoint, UserPoint
from bpfprobe.model.usdt_name import USDT_NAME

if TYPE_CHECKING:
    from bpfprobe.model.span import Span
    from bpfprobe.model.spec import Point

_NUMBER = r"0[xX][0-9a-fA-F]+|[0-9]+"
_SYMBOL = r"[A-Za-z_$.][A-Za-z0-9_$.@]*"
_KERNEL = regex(
    rf"(?:(?P<module>[A-Za-z_][A-Za-z0-9_-]*):)?(?P<symbol>{_SYMBOL})"
    rf"(?:\+(?P<offset>{_NUMBER}))?(?P<suffix>%.*)?"
)
_ADDRESS = regex(rf"(?P<address>{_NUMBER})(?P<suffix>%.*)?")
# The last colon that stands alone ends a path; before a C++ name in :: it is the
# first of three. Names have some of their own: f[abi:cxx11], (auto:1, {shim:vtable#0}.
_OWN = r"(?<!\[abi)(?<!\(auto)(?<!, auto)(?<!\{shim)"
_IN_FILE = regex(rf"(?P<path>.+)(?<!:){_OWN}:(?!:(?!:))(?P<place>.+)", re.DOTALL)
# A + or % of a name belongs to an operator, or to bounds of Rust (dyn Error + Send).
_NAME = r"(?:operator(?:[-+*/%^&|~!=<>,]+|\(\)|\[\])| \+ |[^+%])+?"
_FUNCTION = regex(rf"(?P<symbol>{_NAME})(?:\+(?P<plus>{_NUMBER}))?(?P<suffix>%.*)?")
_SOURCE = r"[^:]+\.(?:c|cc|cpp|cxx|c\+\+|C|h|hh|hpp|hxx|inc|rs|go|S|s|d|f|f90|adb|m|zig)"
_LINE = regex(rf"(?P<file>{_SOURCE}):(?P<line>[1-9][0-9]*)(?P<suffix>%.*)?")
_IN_SOURCE = regex(rf"(?P<path>.+?):{_LINE.pattern}")
_USDT = regex(
    rf"(?:\"(?P<quoted>[^\"]+)\"|(?P<path>.+?)):(?:(?P<provider>{USDT_NAME}):)?(?P<name>{USDT_NAME})"
)
_QUOTED = regex(r"\"(?P<path>[^\"]+)\":.", re.DOTALL)
_EVENT = regex(r"(?P<category>[A-Za-z0-9_-]+)[./](?P<name>[A-Za-z0-9_]+)")
_TRACEPOINT = regex(r"(?P<category>[A-Za-z0-9_-]+)[:/](?P<name>[A-Za-z0-9_]+)")
_SYSCALL = regex(r"(?P<name>[a-z_][a-z0-9_]*)(?P<suffix>%.*)?")


def parse_kind_place(kind: str, span: Span) -> Point:
    """The place after ``KIND:``."""
    if kind in ("kprobe", "kretprobe"):
        return _kernel(span, returns=kind == "kretprobe")
    if kind in ("uprobe", "uretprobe"):
        return _user(span, returns=kind == "uretprobe")
    if kind == "usdt":
        return _usdt(span)
    if kind == "tracepoint":
        found = _TRACEPOINT.fullmatch(span.text)
        if found is None:
            _check_no_pattern(span, kind)
            raise _bad(span, "a tracepoint is CATEGORY:NAME", "tracepoint:sched:sched_switch")
        return TracepointPoint(found["category"], found["name"])
    found = _SYSCALL.fullmatch(span.text)
    if found is None:
        _check_no_pattern(span, kind)
        raise _bad(span, "a system call goes by its name in the manual", "syscall:openat")
    return SyscallPoint(found["name"], _is_return(found, span) or None)


def _check_no_pattern(span: Span, kind: str) -> None:
    """Raise for a pattern at a place that is to be one."""
    if "*" not in span.text and "?" not in span.text:
        return
    listed = kind.replace("kret", "k")
    raise spec_error(
        "BAD_PROBE_ADDR",
        f"this is a pattern, and a probe of this kind ({kind}) goes to one place",
        span,
        f"bpfprobe list '{listed}:{span.text}' shows what fits; describe a probe for each",
    )


def parse_kernel_place(span: Span, *, returns: bool, maxactive: int = 0) -> Point:
    """The place after ``p`` or ``r``: a path with an offset if it has a slash, else a function."""
    if "/" not in span.text:
        return replace(_kernel(span, returns=returns), maxactive=maxactive)
    return _user(span, returns=returns)


def parse_fprobe_place(span: Span) -> Point:
    """The place after ``f``: a function, entered or with ``%return`` left."""
    point = _kernel(span, returns=False)
    if not point.symbol or point.offset:
        raise _bad(span, "a function is probed where it begins or ends", "f vfs_read%return")
    return replace(point, is_fprobe=True)


def parse_eprobe_place(span: Span) -> Point:
    """The place after ``e``: an event that there is already."""
    if span.text.startswith((".", "/")):
        raise spec_error("NO_GROUP_NAME", "the category is missing", span, "CATEGORY/EVENT")
    found = _EVENT.fullmatch(span.text)
    if found is None:
        raise spec_error(
            "NO_EVENT_INFO",
            "an event goes by its category and its name",
            span,
            "for example sched/sched_switch",
        )
    return TracepointPoint(found["category"], found["name"], is_eprobe=True)


def _kernel(span: Span, *, returns: bool) -> KernelPoint:
    if by_address := _ADDRESS.fullmatch(span.text):
        returns = _is_return(by_address, span) or returns
        return KernelPoint("", address=_number(by_address["address"], span), returns=returns)
    found = _KERNEL.fullmatch(span.text)
    if found is None:
        _check_no_pattern(span, "kretprobe" if returns else "kprobe")
        raise _bad(
            span, "this names no kernel function", "vfs_read, vfs_read+0x10, module:function"
        )
    offset = _number(found["offset"], span) if found["offset"] else 0
    returns = _is_return(found, span) or returns
    if returns and offset:
        raise spec_error(
            "BAD_RETPROBE",
            "a return probe goes to a function, not into it",
            span,
            "drop the offset",
        )
    if offset > 0xFFFFFFFF:
        raise _bad(span, "the offset is too large", "vfs_read+0x10")
    return KernelPoint(found["symbol"], offset, found["module"] or "", returns)


def _user(span: Span, *, returns: bool) -> UserPoint:
    if quoted := _QUOTED.match(span.text):
        return parse_function(quoted["path"], span, quoted.end() - 1, returns=returns)
    path = path_of(span.text)
    if not path:
        raise _no_user_place(span)
    return parse_function(path, span, len(path) + 1, returns=returns)


def path_of(place: str) -> str:
    """The path of ``PATH:PLACE``, empty where there is none."""
    found = _IN_SOURCE.fullmatch(place) or _IN_FILE.fullmatch(place)
    return found["path"] if found else ""


def parse_function(path: str, span: Span, start: int, *, returns: bool) -> UserPoint:
    """A place in a file: what stands in ``span`` from ``start`` on, behind the file's path."""
    check_path(path, span)
    if of_line := _LINE.fullmatch(span.text, start):
        return _line(path, of_line, span, returns=returns)
    counter, end = _counter(span, start)
    found = _FUNCTION.fullmatch(span.text[start:end])
    if found is None or found["symbol"].count("(") != found["symbol"].count(")"):
        raise _no_user_place(span)
    returns = _is_return(found, span.source.span(span.start + start, span.end)) or returns
    symbol = found["symbol"]
    plus = _number(found["plus"], span) if found["plus"] else 0
    if symbol[0].isdigit():
        if not NUMBER.fullmatch(symbol):
            raise spec_error(
                "BAD_UPROBE_OFFS",
                f"{symbol!r} is no offset",
                span.source.span(span.start + start, span.start + end),
                "an offset is a number; a symbol does not begin with a digit",
            )
        offset = _number(symbol, span) + plus
        return UserPoint(path, offset=offset, returns=returns, ref_ctr_offset=counter)
    if returns and plus:
        raise spec_error(
            "BAD_RETPROBE",
            "a return probe goes to a function, not into it",
            span,
            "drop the offset",
        )
    return UserPoint(path, symbol=symbol, plus=plus, returns=returns, ref_ctr_offset=counter)


def _line(path: str, found: re.Match[str], span: Span, *, returns: bool) -> UserPoint:
    if _is_return(found, span.source.span(span.start, span.end)) or returns:
        raise spec_error(
            "BAD_RETPROBE",
            "a return probe goes to a function, not to a line",
            span,
            "name the function",
        )
    line = found["line"]
    if len(line) > 9:
        raise _bad(span, f"no file has a line {line}", "./prog:file.c:42")
    return UserPoint(path, symbol=found["file"], line=int(line))


def _no_user_place(span: Span) -> SpecError:
    example = "/bin/bash:readline"
    if ":" not in span.text and "/" in span.text:  # it ended at white space
        example += ', or with spaces "/opt/my prog":main'
    return _bad(span, "a user-space place is PATH:SYMBOL or PATH:0xOFFSET", example)


def _counter(span: Span, start: int) -> tuple[int, int]:
    """The number in brackets at the end of a place, 0 for none, and where the place ends then.

    What stands in brackets behind a name is a number, or the parameters of a C++ function.
    """
    text, source = span.text, span.source
    opened = text.find("(", start)
    is_number = text[start : start + 1].isdigit() or text[opened + 1 : opened + 2].isdigit()
    if opened < 0 or not is_number:
        return 0, len(text)
    closed = text.find(")", opened)
    hint = "PATH:OFFSET(COUNTER), as in /bin/prog:0x1149(0x4010)"
    if closed < 0:
        end = source.span(span.end, span.end)
        raise spec_error("REFCNT_OPEN_BRACE", "the bracket is not closed", end, hint)
    if closed + 1 != len(text):
        rest = source.span(span.start + closed + 1, span.end)
        message = f"{rest.text} means nothing behind the counter"
        raise spec_error("BAD_REFCNT_SUFFIX", message, rest, hint)
    inner = source.span(span.start + opened + 1, span.start + closed)
    if not NUMBER.fullmatch(inner.text):
        message = f"{inner.text!r} is no offset in the file"
        raise spec_error("BAD_REFCNT", message, inner, hint)
    return _number(inner.text, inner), opened


def _usdt(span: Span) -> UsdtPoint:
    found = _USDT.fullmatch(span.text)
    if found is None:
        _check_no_pattern(span, "usdt")
        example = 'usdt:python3:python:gc__start, usdt:./prog:provider:"any name"'
        raise _bad(span, "a marker is PATH:PROVIDER:NAME", example)
    path = found["quoted"] or found["path"]
    if ":" in path and not found["quoted"]:
        _check_no_pattern(span, "usdt")  # of a provider
    check_path(path, span)
    return UsdtPoint(path, found["provider"] or "", found["name"])


def check_path(path: str, span: Span) -> None:
    """Raise for what can be the name of no file."""
    try:
        usable = path and b"\0" not in path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise spec_error(
            "FILE_NOT_FOUND",
            "no file can have this name",
            span,
            "a path is not empty, and has no NUL and no half characters",
        )


def _is_return(found: re.Match[str], span: Span) -> bool:
    suffix = found["suffix"]
    if suffix is None:
        return False
    if suffix != "%return":
        at = span.start + found.start("suffix")
        raise spec_error(
            "BAD_ADDR_SUFFIX",
            f"{suffix} is no suffix of a place",
            span.source.span(at, span.end),
            "the only one is %return",
        )
    return True


def _number(text: str, span: Span) -> int:
    try:
        value = number_value(text)
    except ValueError:
        raise spec_error("BAD_PROBE_ADDR", f"{text} is not an octal number", span) from None
    if value >= 1 << 64:
        raise spec_error("BAD_PROBE_ADDR", f"{text} does not fit in 64 bits", span)
    return value


def _bad(span: Span, message: str, example: str) -> SpecError:
    return spec_error("BAD_PROBE_ADDR", message, span, f"for example {example}")
