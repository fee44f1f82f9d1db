"""Where a probe of trace(8) goes: ``[{p,r,t,u}:[LIBRARY|CATEGORY]:]FUNCTION[+OFFSET]``.

``FUNCTION`` alone is ``p::FUNCTION`` and ``LIBRARY:FUNCTION`` is ``p:LIBRARY:FUNCTION``. An offset
is decimal, or hexadecimal with an x in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.noun import dataclass
from bpfprobe.model.regex import regex
from bpfprobe.model.spec import KernelPoint, SyscallPoint, TracepointPoint, UsdtPoint, UserPoint
from bpfprobe.parse.dialect import KINDS
from bpfprobe.parse.place import check_path, parse_kind_place

if TYPE_CHECKING:
    from bpfprobe.model.span import Span
    from bpfprobe.model.spec import Point

_SYSCALL = regex(r"(?:__(?:x64|arm64)_sys_|sys_|SyS_)(?P<name>[a-z0-9_]+)")
"""Names of the function of a system call, those before Linux 4.17 too, which many texts have."""

_KERNEL_SYMBOL = regex(r"[A-Za-z_$.][A-Za-z0-9_$.@]*")
_TRACEPOINT_PART = regex(r"[A-Za-z0-9_-]+")
OTHER_KINDS = {
    "fentry": "kprobe:{}", "kfunc": "kprobe:{}", "kprobe.multi": "kprobe:{}",
    "fexit": "kretprobe:{}", "kretfunc": "kretprobe:{}", "kretprobe.multi": "kretprobe:{}",
    "rawtracepoint": "", "raw_tracepoint": "", "profile": "", "interval": "", "hardware": "",
    "software": "", "watchpoint": "", "iter": "",
}  # fmt: skip
"""Kinds of other tools that there are no probes of here, each with what reaches the same place."""

_OFFSET = regex(r"0[xX][0-9a-fA-F]+|[0-9]+")


@dataclass(frozen=True, slots=True)
class Place:
    """A place, and the name that trace(8) gives it in its FUNC column."""

    point: Point
    span: Span
    function: str

    @property
    def is_tracepoint(self) -> bool:
        """Whether values come from ``args``."""
        return isinstance(self.point, TracepointPoint)

    @property
    def has_signature(self) -> bool:
        """Whether it is a function, which has one."""
        return not isinstance(self.point, (TracepointPoint, UsdtPoint))


def parse_place(span: Span) -> Place:
    """The first word of a description. Raises `SpecError`."""
    kind, middle, function = _split(span)
    if kind == "u":
        start = span.end - len(middle) - len(function) - 1
        marker = parse_kind_place("usdt", span.source.span(start, span.end))
        return Place(marker, span, function)
    if kind == "t":
        if not (_TRACEPOINT_PART.fullmatch(middle) and _TRACEPOINT_PART.fullmatch(function)):
            raise _bad(span, "a tracepoint is t:CATEGORY:EVENT", "t:sched:sched_switch")
        return Place(TracepointPoint(middle, function), span, function)
    name, offset = _offset(function, span)
    if not name:
        raise _bad(span, "the function's name is missing", "p:c:malloc or vfs_read")
    returns = kind == "r"
    if returns and offset:
        raise spec_error(
            "BAD_RETPROBE",
            "a return probe goes to a function, not into it",
            span,
            "drop the offset; trace(8) ignores it",
        )
    if middle:
        return Place(_user_point(middle, name, offset, returns, span), span, name)
    return Place(_kernel_point(name, offset, returns, span), span, name)


def _split(span: Span) -> tuple[str, str, str]:
    """The letter, the library or category, and the rest, as trace(8) splits them."""
    parts = span.text.split(":")
    if len(parts) == 1:
        return "p", "", parts[0]
    if len(parts) == 2:
        _check_no_kind(parts[0], span)
        return "p", parts[0], parts[1]
    kind = parts[0] or "p"
    if kind not in ("p", "r", "t", "u"):
        if kind in OTHER_KINDS:
            raise _other_kind(kind, span)
        raise spec_error(
            "BAD_PROBE",
            f"{parts[0]!r} is not a kind of probe",
            span.source.span(span.start, span.start + len(parts[0])),
            "p, r, t or u; nothing before the first colon means p",
        )
    if kind == "u":
        return kind, parts[1], ":".join(parts[2:])
    if kind == "t" and len(parts) > 3:
        raise _bad(span, "a tracepoint is t:CATEGORY:EVENT", "t:sched:sched_switch")
    return kind, ":".join(parts[1:-1]), parts[-1]


def _check_no_kind(library: str, span: Span) -> None:
    """Raise for a library that looks like a kind of probe, of ours or of another tool."""
    if library in OTHER_KINDS:
        raise _other_kind(library, span)
    from difflib import get_close_matches  # only mistakes want it

    near = get_close_matches(library, KINDS, n=1, cutoff=0.8)
    if not near:
        return
    raise spec_error(
        "BAD_PROBE",
        f"{library!r} is not a kind of probe",
        span.source.span(span.start, span.start + len(library)),
        f"did you mean {near[0]}:? for a library of that name write p:{library}:FUNCTION",
    )


def _other_kind(kind: str, span: Span) -> SpecError:
    """The refusal of a kind that another tool has, with ours of the same place."""
    *module, name = span.text.split(":")[1:]
    place = ":".join([*(part for part in module if part != "vmlinux"), name])
    instead = OTHER_KINDS[kind].format(place)
    if instead:
        hint = f"{instead} goes to the same place"
    elif kind in ("rawtracepoint", "raw_tracepoint"):
        hint = f"bpfprobe list 'tracepoint:*:{name}' shows tracepoints of that name"
    else:
        hint = f"kinds are {' '.join(KINDS)}"
    at = span.source.span(span.start, span.start + len(kind))
    return spec_error("BAD_PROBE", f"there are no probes of the kind {kind} here", at, hint)


def _offset(function: str, span: Span) -> tuple[str, int]:
    name, plus, text = function.partition("+")
    if not plus:
        return name, 0
    if not _OFFSET.fullmatch(text):
        raise _bad(span, f"{text!r} is no offset", "kfree_skb+56 or kfree_skb+0x38")
    offset = int(text, 16 if text[:2] in ("0x", "0X") else 10)
    if offset > 0xFFFFFFFF:
        raise _bad(span, "the offset is too large", "kfree_skb+0x38")
    return name, offset


def _kernel_point(name: str, offset: int, returns: bool, span: Span) -> Point:
    if not _KERNEL_SYMBOL.fullmatch(name):
        raise _bad(span, f"{name!r} names no kernel function", "vfs_read, or p:c:malloc")
    called = _SYSCALL.fullmatch(name)
    if called and not offset:
        return SyscallPoint(called["name"], returns)
    return KernelPoint(name, offset, returns=returns)


def _user_point(path: str, name: str, offset: int, returns: bool, span: Span) -> UserPoint:
    check_path(path, span)
    if name[0].isdigit():
        if not _OFFSET.fullmatch(name):
            raise _bad(span, f"{name!r} is neither a function nor an offset", "p:c:malloc")
        number = int(name, 16 if name[:2] in ("0x", "0X") else 10)
        return UserPoint(path, offset=number + offset, returns=returns)
    return UserPoint(path, symbol=name, plus=offset, returns=returns)


def _bad(span: Span, message: str, example: str) -> SpecError:
    return spec_error("BAD_PROBE_ADDR", message, span, f"for example {example}")
