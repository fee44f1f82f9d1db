"""A definition in text: the kernel's own form, and the form that names the kind of probe.

::

    definition = [EVENT "="] KIND ":" place { argument } [ "if" expression ]
               | "p" [":" name] WS ( kplace | uplace ) { argument } [ "if" expression ]
               | "r" [MAXACTIVE] [":" name] WS ( kplace | uplace ) { argument } [ "if" expression ]
               | "f" [":" name] WS [MODULE ":"] FUNCTION ["%return"] { argument } ["if" expression]
               | "e" [":" name] WS CATEGORY ("/" | ".") EVENT { argument } [ "if" expression ]
    name       = [GROUP ("/" | ".")] [EVENT]
    kplace     = ([MODULE ":"] FUNCTION ["+" OFFSET] | ADDRESS) ["%return"]
    uplace     = path ":" (OFFSET | SYMBOL ["+" OFFSET]) ["%return"] ["(" COUNTER ")"]
               | path ":" FILE ":" LINE
    path       = PATH | '"' PATH '"'
    argument   = [NAME "="] expression [":" type]

Arguments are separated by white space; inside brackets and quotes white space is free.
The forms with one letter are those of Documentation/trace/kprobetrace.rst, uprobetracer.rst,
fprobetrace.rst and eprobetrace.rst, the first word of which `bpfprobe.parse.head` takes apart.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.expression import Variable
from bpfprobe.model.scalar import float_named
from bpfprobe.model.spec import (
    Capture,
    KernelPoint,
    ProbeSpec,
    SyscallPoint,
    TracepointPoint,
    UsdtPoint,
    UserPoint,
)
from bpfprobe.model.walk import walk
from bpfprobe.parse.capture import parse_capture, with_names
from bpfprobe.parse.dialect import Dialect, dialect_of
from bpfprobe.parse.filter import parse_filter
from bpfprobe.parse.head import KINDS_HINT, parse_head
from bpfprobe.parse.scanner import check_length
from bpfprobe.parse.source_name import source_name_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.expression import Expression
    from bpfprobe.model.span import SourceText, Span
    from bpfprobe.model.spec import Point


def parse_definition(source: SourceText) -> ProbeSpec:
    """One definition. Raises `SpecError`."""
    check_length(source)
    words = list(_words(source))
    if not words:
        raise spec_error("NO_ARG_BODY", "the description is empty", source.whole(), KINDS_HINT)
    head, rest = parse_head(source, words)
    in_program = isinstance(head.point, UserPoint)
    is_kernels = dialect_of(source.text) is Dialect.KERNEL
    captures: list[Capture] = []
    condition: Expression | None = None
    for place, word in enumerate(rest):
        if word.text == "if":
            end = len(source.text.rstrip())
            if place + 1 == len(rest):
                raise spec_error(
                    "NO_EP_FILTER",
                    "no filter follows if",
                    source.span(len(source.text), len(source.text)),
                    "for example: if pid == 42",
                )
            condition = parse_filter(source, word.end, end)
            break
        capture = parse_capture(
            source, word, captures, in_program=in_program, is_kernels=is_kernels
        )
        if is_kernels and capture.type is not None and float_named(capture.type.base):
            raise spec_error(
                "BAD_TYPE",
                f"{capture.type.span.text} is not a type of the kernel's definitions",
                capture.type.span,
                "descriptions that begin with kprobe: or uprobe: have it",
            )
        captures.append(capture)
    point = _with_return(head.point, captures)
    return ProbeSpec(
        name=head.name or default_name(point),
        point=point,
        point_span=head.point_span,
        captures=tuple(with_names(captures, is_kernels=is_kernels)),
        filter=condition,
        source=source,
        group=head.group,
    )


def _with_return(point: Point, captures: list[Capture]) -> Point:
    """``$retval`` among the values of an ``f`` makes it the function's return."""
    if not isinstance(point, KernelPoint) or not point.is_fprobe or point.returns:
        return point
    nodes = (node for capture in captures for node in walk(capture.expressions))
    if not any(isinstance(node, Variable) and node.name == "retval" for node in nodes):
        return point
    return KernelPoint(point.symbol, module=point.module, returns=True, is_fprobe=True)


def default_name(point: Point) -> str:
    """A name made from the place, for a probe that was given none."""
    if isinstance(point, (TracepointPoint, SyscallPoint, UsdtPoint)):
        text = point.name
    elif isinstance(point, UserPoint):
        number = point.address if point.offset is None else point.offset
        text = f"{point.symbol}_{point.line}" if point.line else point.symbol
        text = text or f"{point.path.rpartition('/')[2]}_{number or 0:#x}"
    else:
        text = point.symbol or f"at_{point.address:#x}"
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)[:63]
    return f"_{name[:62]}" if not name or name[0].isdigit() else name


def _words(source: SourceText) -> Iterator[Span]:
    """Runs of text between white space that is outside of brackets and quotes."""
    text, at, end = source.text, 0, len(source.text)
    is_kernels, number = dialect_of(text) is Dialect.KERNEL, 0
    while at < end:
        if text[at].isspace():
            at += 1
            continue
        start, depth, quote, first_space = at, 0, "", end
        if number == is_kernels:
            at = source_name_end(text, at, has_kind=not is_kernels)
        number += 1
        while at < end and (depth > 0 or quote or not text[at].isspace()):
            char = text[at]
            if char.isspace() and not quote:
                first_space = min(first_space, at)
            if quote:
                at += char == "\\"
                quote = "" if char == quote else quote
            elif char in "\"'":
                quote = char
            elif char in "([":
                depth += 1
            elif char in ")]":
                depth -= 1
            at += 1
        at = min(at, end) if depth <= 0 else first_space  # what is not closed holds nothing
        word = source.span(start, at)
        yield word
        if word.text == "if":
            rest = text[at:].strip()
            if rest:
                yield source.span(at, end)
            return
