"""The kernel's side: definitions given to tracefs, its errors, and the events that it prints."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from functools import cache
from pathlib import Path

from corpus import ACCEPTED, Verdict

TRACEFS = Path("/sys/kernel/tracing")
_DEFINED = re.compile(r"[a-z][0-9]*:(\S+)")


def mount() -> None:
    """Have tracefs where the kernel's documents say it is."""
    if not (TRACEFS / "README").exists():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACEFS], check=True)


@cache
def readme() -> str:
    return (TRACEFS / "README").read_text()


def knows(feature: str) -> bool:
    """Whether this kernel says that it has something."""
    return feature in readme()


def define(text: str) -> Verdict:
    """Give a definition to the kernel, and say what it made of it."""
    with contextlib.suppress(OSError):
        (TRACEFS / "error_log").write_text("\n")
    try:
        _append(text)
    except OSError as error:
        return _complaint(error)
    return Verdict(ACCEPTED)


def delete_all() -> None:
    """Undo every definition."""
    names = [m[1] for line in defined() if (m := _DEFINED.match(line))]
    for name in dict.fromkeys(names):
        _append(f"-:{name}")


def _append(line: str) -> None:
    # Not with open(): it seeks to the end, which this file refuses.
    fd = os.open(TRACEFS / "dynamic_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, line.encode() + b"\n")
    finally:
        os.close(fd)


def defined() -> list[str]:
    return (TRACEFS / "dynamic_events").read_text().splitlines()


def verdict(text: str) -> Verdict:
    """What the kernel says to a definition, which is gone afterwards."""
    found = define(text)
    if found.accepts:
        delete_all()
    return found


def _complaint(error: OSError) -> Verdict:
    """The first entry of error_log: a line with the text, the command, and a caret below it."""
    lines = (TRACEFS / "error_log").read_text().splitlines()
    for at, line in enumerate(lines):
        if line.strip() == "^":
            message = lines[at - 2].rpartition("error: ")[2].strip()
            return Verdict(CODES.get(message, message), line.index("^") - len("  Command: "))
    return Verdict(f"errno {error.errno}")


CODES = {
    "Failed to find the given file": "FILE_NOT_FOUND",
    "Not a regular file": "NO_REGULAR_FILE",
    "Invalid uprobe offset": "BAD_UPROBE_OFFS",
    "Invalid reference counter offset": "BAD_REFCNT",
    "Reference counter brace is not closed": "REFCNT_OPEN_BRACE",
    "Reference counter has wrong suffix": "BAD_REFCNT_SUFFIX",
    "Invalid probed address or symbol": "BAD_PROBE_ADDR",
    "The symbol is not unique": "NON_UNIQ_SYMBOL",
    "Invalid probed address suffix": "BAD_ADDR_SUFFIX",
    "Probe point is not an instruction boundary": "BAD_INSN_BNDRY",
    "Retprobe address must be an function entry": "BAD_RETPROBE",
    "Failed to register probe event": "FAIL_REG_PROBE",
    "Invalid maxactive number": "BAD_MAXACT",
    "Maxactive is too big": "MAXACT_TOO_BIG",
    "Maxactive is only for function exit": "BAD_MAXACT_TYPE",
    "Tracepoint is not found": "NO_TRACEPOINT",
    "Invalid character in tracepoint name": "BAD_TP_NAME",
    "Group name is not specified": "NO_GROUP_NAME",
    "Group name is too long": "GROUP_TOO_LONG",
    "Group name must follow the same rules as C identifiers": "BAD_GROUP_NAME",
    "Event name is not specified": "NO_EVENT_NAME",
    "Event name is too long": "EVENT_TOO_LONG",
    "Event name must follow the same rules as C identifiers": "BAD_EVENT_NAME",
    "Given group/event name is already used by another event": "EVENT_EXIST",
    "Event too big (too many fields?)": "EVENT_TOO_BIG",
    "This requires both group and event name to attach": "NO_EVENT_INFO",
    "Attached event does not exist": "BAD_ATTACH_EVENT",
    "Attached event does not have this field": "BAD_ATTACH_ARG",
    "This event field is not found.": "NO_EVENT_FIELD",
    "No filter rule after 'if'": "NO_EP_FILTER",
    "$retval is not available on probe": "RETVAL_ON_PROBE",
    "This function returns 'void' type": "NO_RETVAL",
    "Invalid stack number": "BAD_STACK_NUM",
    "Invalid argument number": "BAD_ARG_NUM",
    "$argN index is too big": "ARGIDX_2BIG",
    "Invalid $-variable specified": "BAD_VAR",
    "Invalid register name": "BAD_REG_NAME",
    "Invalid memory address": "BAD_MEM_ADDR",
    "Invalid file offset value": "BAD_FILE_OFFS",
    "File offset is not available for kernel probes": "FILE_ON_KPROBE",
    "Symbol is not available with uprobe": "SYM_ON_UPROBE",
    "Invalid immediate value": "BAD_IMM",
    "String is not closed with '\"'": "IMMSTR_NO_CLOSE",
    "Dereference needs a brace": "DEREF_NEED_BRACE",
    "Dereference brace is not closed": "DEREF_OPEN_BRACE",
    "Invalid dereference offset": "BAD_DEREF_OFFS",
    "$comm can not be dereferenced": "COMM_CANT_DEREF",
    "Dereference is too much nested": "TOO_MANY_OPS",
    "Too many nested typecasts/dereferences": "TOO_MANY_NESTED",
    "Invalid fetch argument": "BAD_FETCH_ARG",
    "No argument expression": "NO_ARG_BODY",
    "Argument expression is too long": "ARG_TOO_LONG",
    "Argument name is not specified": "NO_ARG_NAME",
    "Argument name must follow the same rules as C identifiers": "BAD_ARG_NAME",
    "Argument name is too long": "ARG_NAME_TOO_LONG",
    "This argument name is already used": "USED_ARG_NAME",
    "Too many arguments are specified": "TOO_MANY_ARGS",
    "Too many entry arguments specified": "TOO_MANY_EARGS",
    "$arg* failed because the argument list is too long": "ARGS_2LONG",
    "$arg* must be an independent parameter without name etc.": "BAD_VAR_ARGS",
    "$arg* can be used only once in the parameters": "DOUBLE_ARGS",
    "$arg* can be used only on function entry or exit": "NOFENTRY_ARGS",
    "BTF is not available or not supported": "NOSUP_BTFARG",
    "No BTF entry for this probe point": "NO_BTF_ENTRY",
    "This variable is not found at this probe point": "NO_BTFARG",
    "Failed to get BTF type info.": "BAD_BTF_TID",
    "This field is not found.": "NO_BTF_FIELD",
    "This is not a pointer to union/structure.": "NO_PTR_STRCT",
    "Non pointer structure/union argument is not supported.": "NOSUP_DAT_ARG",
    "Failed to parse single hyphen. Forgot '>'?": "BAD_HYPHEN",
    "Typecast requires a field access": "TYPECAST_REQ_FIELD",
    "Typecast field option does not support -> operator": "TYPECAST_BAD_ARROW",
    "Typecast field option is not byte-aligned": "TYPECAST_NOT_ALIGNED",
    "@SYM+/-OFFSET with typecast needs parentheses": "TYPECAST_SYM_OFFSET",
    "Typecasts are only for eprobe fields": "TYPECAST_NOT_EVENT",
    "Per-cpu variable access is only for kernel probes": "NOSUP_PERCPU",
    "Unknown type is specified": "BAD_TYPE",
    "String accepts only memory argument": "BAD_STRING",
    "Symbol String doesn't accept data/userdata": "BAD_SYMSTRING",
    "This type does not fit for string.": "BAD_TYPE4STR",
    "$comm and immediate-string only accepts string type": "NEED_STRING_TYPE",
    "Invalid bitfield": "BAD_BITFIELD",
    "Array is not closed": "ARRAY_NO_CLOSE",
    "Array has wrong suffix": "BAD_ARRAY_SUFFIX",
    "Invalid array size": "BAD_ARRAY_NUM",
    "Array number is too big": "ARRAY_TOO_BIG",
    "Probe type is different from existing probe": "DIFF_PROBE_TYPE",
    "Argument type or name is different from existing probe": "DIFF_ARG_TYPE",
    "There is already the exact same probe event": "SAME_PROBE",
    "File offset is not available with kprobe": "FILE_ON_KPROBE",
    "Maxactive is not for kprobe": "BAD_MAXACT_TYPE",
    "No matching dynamic event type": "NO_MATCHING_TYPE",  # trace_dynevent.c has no name for it
}
"""The texts of kernel/trace/trace_probe.h, each with the name that it has there."""
