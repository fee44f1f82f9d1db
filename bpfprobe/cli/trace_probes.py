"""The SPECs of a command line, with what its options ask of each, as descriptions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.deliver.ftrace import RETURN_FIELD
from bpfprobe.model.description import (
    DEFAULT_STRING_BYTES,
    DEFINITION,
    MAX_STRING_BYTES,
    Description,
)
from bpfprobe.model.options import OptionError, check_whole
from bpfprobe.parse.dialect import Dialect, dialect_of, is_kprobe8_filter

if TYPE_CHECKING:
    import argparse

TRACE8_STRING_BYTES = 80
MAX_COMM_BYTES = 15
CALLER = {"x86_64": "%ip", "aarch64": "%pc"}
"""At a return probe, the register that holds the address it returns to (x86-64: Linux 5.15)."""


def describe_specs(args: argparse.Namespace, machine: str) -> list[Description]:
    """What the SPECs of a command line describe, and then those of files.

    Raises `OptionError`; of files `SpecError` and `TargetError`.
    """
    forced = None if args.dialect == "auto" else Dialect(args.dialect)
    texts, conditions = list(args.specs), []
    if (forced or Dialect.KERNEL) is Dialect.KERNEL and is_kprobe8_filter(texts):
        conditions.append(texts.pop())
    for name in args.file:
        from bpfprobe.cli.given_specs import specs_in  # nothing else here parses

        texts += [spec.source.text for spec in specs_in(name)]
    if args.bin_cmp and Dialect.TRACE8 not in {forced or dialect_of(text) for text in texts}:
        raise OptionError(
            "-B (--bin_cmp) is for STRCMP, which only descriptions of trace(8) have",
            hint="leave it out: == and ~ compare texts in the other dialects",
        )
    if args.name:
        conditions.append(_name_contains(args.name))
    if args.cgroup_path is not None:
        from bpfprobe.cli.cgroup import in_cgroup

        conditions.append(in_cgroup(args.cgroup_path))
    return [
        Description(
            DEFINITION,
            text,
            pid=args.pid,
            filter=_all_of(conditions),
            captures=_captures(text, args, machine),
            string_bytes=_string_bytes(args, forced or dialect_of(text)),
            dialect=forced.value if forced else "",
            binary_strings=args.bin_cmp,
            force=args.force,
        )
        for text in texts
    ]


def is_ftrace(args: argparse.Namespace) -> bool:
    """Whether the lines are to be ftrace's."""
    return args.style == "ftrace" or (args.headers and args.style is None)


def is_trace8(description: Description) -> bool:
    """Whether the rows are trace(8)'s."""
    if description.kind != DEFINITION:
        return False
    dialect = Dialect(description.dialect) if description.dialect else None
    return (dialect or dialect_of(description.place)) is Dialect.TRACE8


def is_return(text: str) -> bool:
    """Whether a definition is that of a return probe, which is called from somewhere."""
    first, _, rest = text.strip().partition(" ")
    if re.match(r"r[0-9]*(:|$)", first) or re.match(r"(?:[^=:]*=)?(?:kret|uret)probe:", first):
        return True
    place = rest.split()[0] if first[:1] == "p" and rest.split() else first
    return place.endswith("%return") and "syscall:" not in first


def _captures(text: str, args: argparse.Namespace, machine: str) -> tuple[tuple[str, str], ...]:
    captures = []
    if is_ftrace(args) and machine in CALLER and is_return(text):
        captures.append((RETURN_FIELD, CALLER[machine]))
    if args.kernel_stack:
        captures.append(("kstack", "$kstack"))
    if args.user_stack:
        captures.append(("ustack", "$ustack"))
    return tuple(captures)


def _all_of(conditions: list[str]) -> str | None:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return " && ".join(f"({condition})" for condition in conditions)


def _string_bytes(args: argparse.Namespace, dialect: Dialect) -> int:
    """Room for a string with its NUL; trace(8) counts without."""
    if args.string_size is None:
        return TRACE8_STRING_BYTES + 1 if dialect is Dialect.TRACE8 else DEFAULT_STRING_BYTES
    check_whole("-Z (--string-size)", args.string_size, 1, MAX_STRING_BYTES - 1)
    return int(args.string_size) + 1


def _name_contains(text: str) -> str:
    """``$comm ~ "*TEXT*"``, every byte in hexadecimal; a backslash before each takes its magic."""
    wanted = text.encode("utf-8", "surrogateescape")
    if len(wanted) > MAX_COMM_BYTES or b"\0" in wanted:
        raise OptionError(
            f"no thread has a name with {text!r} in it: names have at most {MAX_COMM_BYTES} bytes",
            hint="the kernel cuts names: give their beginning",
        )
    glob = "".join(rf"\\\x{byte:02x}" for byte in wanted)
    return f'$comm ~ "*{glob}*"'
