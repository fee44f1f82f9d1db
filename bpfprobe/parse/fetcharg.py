r"""What the kernel says to a text that is none of its fetch arguments.

An expression (`bpfprobe.parse.expression`) is more than a fetch argument, and what it refuses the
kernel refuses too. Then this file finds the code and the place that the kernel has for it, as
traceprobe_parse_probe_arg() of kernel/trace/trace_probe.c does: from left to right, by the first
character. In the kernel's own words (Documentation/trace/kprobetrace.rst, uprobetracer.rst)::

    fetcharg = "%" REG | "$stack" [N] | "$arg" N | "$arg*" | "$retval" | "$comm" | "$COMM"
             | "$current" | "@" ADDR | "@" SYM [("+" | "-") OFFS] | "@+" OFFS
             | ("+" | "-") ["u"] OFFS "(" fetcharg ")"
             | "\" ["-" | "+"] NUMBER | "\" '"' TEXT '"'
             | ARGUMENT { ("->" | ".") MEMBER } | "$retval" "->" MEMBER { ("->" | ".") MEMBER }
             | "(" STRUCT ["," MEMBER { "." MEMBER }] ")" fetcharg "->" MEMBER { ... }
             | ("this_cpu_ptr" | "this_cpu_read") "(" fetcharg ")"
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.number import NUMBER, number_value

if TYPE_CHECKING:
    from bpfprobe.model.span import SourceText, Span

_MOST_OFFSET = (1 << 63) - 1
_OF_THIS_CPU = ("this_cpu_ptr(", "this_cpu_read(")


def kernel_complaint(
    source: SourceText, start: int, end: int, *, in_program: bool
) -> SpecError | None:
    """The kernel's error for a text that is no fetch argument; None where it has none of its own.

    ``in_program`` is true for a place in a program, whose memory has file offsets but no symbols.
    """
    text = source.text[start:end]
    if re.search(r"\s", text):
        return None
    whole = source.span(start, end)
    match text[:1]:
        case "$" if text == "$current->":
            message = "the name of a member is missing"
            return spec_error("NO_BTF_FIELD", message, source.span(end, end), "as in $current->pid")
        case "$":
            hint = "known are $arg1 ... $retval $stack $stackN $comm $current"
            return spec_error("BAD_VAR", f"{text} is not a variable", whole, hint)
        case "%":
            message = f"{text[1:]!r} is not a register"
            return spec_error("BAD_REG_NAME", message, whole, "for example %di, on arm64 %x0")
        case "@":
            return _memory(text, whole, in_program=in_program)
        case "+" | "-":
            return _dereference(source, start, end, in_program=in_program)
        case "\\":
            return _immediate(source, start, end)
        case "(":
            return _typecast(source, start, end)
        case "t" if text.startswith(_OF_THIS_CPU) and ")" not in text:
            message = "the bracket is not closed"
            return spec_error("DEREF_OPEN_BRACE", message, source.span(end, end), "add )")
        case letter if letter.isalpha() or letter == "_":
            return _hyphen(source, start, end)
        case digit if digit.isdigit():
            is_offset = re.fullmatch(rf"(?:{NUMBER.pattern})\(.+\)", text)
            hint = f"memory is read with +{text}" if is_offset else "$arg1, %di, a name, a number"
            return spec_error("BAD_FETCH_ARG", f"{text} is no value", whole, hint)
    return None


def file_on_kprobe(span: Span) -> SpecError:
    """``@+OFFSET`` where there is no file."""
    return spec_error(
        "FILE_ON_KPROBE",
        "only a program has a file that offsets could count in",
        span,
        "memory of the kernel is @SYMBOL or @0xADDRESS",
    )


def symbol_on_uprobe(span: Span) -> SpecError:
    """``@SYMBOL`` in a program."""
    return spec_error(
        "SYM_ON_UPROBE",
        "kernel symbols mean nothing in user space",
        span,
        "the program's own memory is @+OFFSET, counted in its file, or @0xADDRESS",
    )


def _typecast(source: SourceText, start: int, end: int) -> SpecError | None:
    """A cast in which the struct, or the name of a member, is missing."""
    found = re.match(r"\((?P<struct>\w*)(?:,(?P<members>[\w.>-]*))?\)", source.text[start:end])
    if found is None:
        return None
    hint = "for example (task_struct)$arg1->comm, or (task_struct,se)$arg1->pid"
    if not found["struct"]:
        span = source.span(start + 1, start + 1)
        return spec_error("NO_PTR_STRCT", "the name of a struct is missing", span, hint)
    members = found["members"]
    missing = None if members is None else re.search(r"(?:^|\.|->)(?=\.|->|$)", members)
    if missing is None:
        return None
    at = start + found.start("members") + missing.end()
    message = "the name of a member is missing"
    return spec_error("NO_BTF_FIELD", message, source.span(at, at), hint)


def _memory(text: str, span: Span, *, in_program: bool) -> SpecError:
    if text[1:2].isdigit():
        message = f"{text[1:]} is not an address"
        return spec_error("BAD_MEM_ADDR", message, span, "write @0xADDRESS, or @SYMBOL")
    if text[1:2] == "+":
        if not in_program:
            return file_on_kprobe(span)
        message = f"{text[2:]!r} is no offset in a file"
        return spec_error("BAD_FILE_OFFS", message, span, "for example @+0x1000")
    if in_program:
        return symbol_on_uprobe(span)
    message = "a symbol or an address belongs after @"
    return spec_error("BAD_MEM_ADDR", message, span, "for example @jiffies, @jiffies+4")


def _dereference(source: SourceText, start: int, end: int, *, in_program: bool) -> SpecError | None:
    text = source.text[start:end]
    whole = source.span(start, end)
    opened = text.find("(")
    if opened < 0:
        message = f"{text[0]} in front of a value reads memory, and this is not how"
        hint = "+OFFSET(ADDRESS), for example +8(%si) or +u0($arg2)"
        return spec_error("DEREF_NEED_BRACE", message, whole, hint)
    digits = text[1:opened].removeprefix("u")
    if not NUMBER.fullmatch(digits) or number_value(digits) > _MOST_OFFSET:
        message = f"{digits!r} is no offset"
        return spec_error("BAD_DEREF_OFFS", message, whole, "an offset is a signed number")
    closed = text.rfind(")")
    if closed < opened:
        message = "the bracket is not closed"
        return spec_error("DEREF_OPEN_BRACE", message, source.span(end, end), "add )")
    inner = source.span(start + opened + 1, start + closed)
    if not inner.text:
        message = "an address is missing in the brackets"
        return spec_error("BAD_FETCH_ARG", message, inner, "for example +8(%si)")
    return kernel_complaint(source, inner.start, inner.end, in_program=in_program)


def _immediate(source: SourceText, start: int, end: int) -> SpecError | None:
    text = source.text[start + 1 : end]
    if text.startswith('"'):
        if len(text) > 1 and text.endswith('"'):
            return None
        message = 'the text is not closed with "'
        return spec_error("IMMSTR_NO_CLOSE", message, source.span(end, end), 'put " at its end')
    message = "a number or a quoted text belongs after \\"
    span = source.span(start + 1, end)
    return spec_error("BAD_IMM", message, span, r'for example \42, \-1 or \"text"')


def _hyphen(source: SourceText, start: int, end: int) -> SpecError | None:
    """A name followed by - where -> must have been meant."""
    found = re.fullmatch(r"\w+(?:(?:->|\.)\w+)*(-)[^>\w].*", source.text[start:end])
    if found is None:
        return None
    hyphen = source.span(start + found.start(1), start + found.end(1))
    return spec_error("BAD_HYPHEN", "- leads to no member", hyphen, "members are reached with ->")
