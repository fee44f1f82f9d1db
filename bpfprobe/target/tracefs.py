"""What tracefs and debugfs say of functions and tracepoints."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from bpfprobe.model.machine import Tracepoint, TracepointField
from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FIELD = regex(r"\s*field:(?P<declaration>.+?);\s*offset:(\d+);\s*size:(\d+);\s*signed:(\d);")
_NAME = regex(r"(\w+)\s*((?:\[[^\]]*\]\s*)*)$")
_ESCAPE = regex(r"\\([0-7]{3})")

_ELEMENT_SIZES = {
    1: ("char", "signed char", "unsigned char", "u8", "s8", "__u8", "__s8", "uint8_t", "bool"),
    2: ("short", "unsigned short", "u16", "s16", "__u16", "__s16", "__be16", "__le16", "uint16_t"),
    4: ("int", "unsigned int", "unsigned", "u32", "s32", "__u32", "__s32", "__be32", "__le32"),
    8: ("long", "unsigned long", "u64", "s64", "__u64", "__s64", "long long", "size_t"),
}


def mounts_of(kinds: Iterable[str], lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(kind, mount point) of each mounted file system of these kinds, from /proc/mounts."""
    wanted = frozenset(kinds)
    for line in lines:
        words = line.split()
        if len(words) >= 3 and words[2] in wanted:
            yield words[2], _ESCAPE.sub(lambda octal: chr(int(octal.group(1), 8)), words[1])


_SEARCHES_BEFORE_INDEX = 32
"""A search takes a hundredth of the time of making a set."""


class FunctionList:
    """``available_filter_functions``: a function a line, ``[module]`` after those of a module."""

    def __init__(self, text: bytes) -> None:
        self._text = b"\n" + text
        self._searches = 0

    def has(self, name: str) -> bool:
        """Whether ftrace can reach a function of this name."""
        raw = name.encode(errors="surrogateescape")
        self._searches += 1
        if self._searches > _SEARCHES_BEFORE_INDEX:
            return raw in self._names
        line = b"\n" + raw
        return line + b"\n" in self._text or line + b" [" in self._text

    def has_module(self, module: str) -> bool:
        """Whether ftrace can reach any function of a module."""
        return f" [{module}]\n".encode(errors="surrogateescape") in self._text

    @cached_property
    def _names(self) -> frozenset[bytes]:
        return frozenset(line.partition(b" [")[0] for line in self._text.split(b"\n"))


def read_blacklist(lines: Iterable[str]) -> frozenset[str]:
    """Names in ``kprobes/blacklist`` of debugfs: ``START-END<tab>NAME``, ``[module]`` or not."""
    words = (line.split() for line in lines)
    return frozenset(line[1] for line in words if len(line) >= 2)


def read_format(category: str, name: str, event_id: int, lines: Iterable[str]) -> Tracepoint:
    """A tracepoint from its ``format`` file, without the common fields.

    A BPF program cannot read those (``common_pid`` and so on): the kernel puts a pointer to the
    registers over the first 8 bytes of the record that it is handed.
    """
    fields: list[TracepointField] = []
    for line in lines:
        found = _FIELD.match(line)
        if found and not found["declaration"].split()[-1].startswith("common_"):
            offset, size, signed = (int(number) for number in found.groups()[1:])
            fields.append(read_field(found["declaration"].strip(), offset, size, bool(signed)))
    return Tracepoint(category, name, event_id, tuple(fields))


def read_event_id(text: str) -> int:
    """The number in an ``id`` file, or of the ``ID:`` line of a ``format`` file; 0 for neither."""
    found = re.search(r"^(?:ID:\s*)?(\d+)\s*$", text, re.MULTILINE)
    return int(found[1]) if found else 0


def read_field(declaration: str, offset: int, size: int, signed: bool) -> TracepointField:
    """One field from its C declaration and its place; sizes and offsets in bytes."""
    location = re.match(r"__(data|rel)_loc\s+", declaration)
    plain = declaration[location.end() :] if location else declaration
    named = _NAME.search(plain)
    # An unnamed field has never been seen; the declaration stands in for the name of one.
    name, counts = (named[1], named[2]) if named else (declaration, "")
    element = plain[: named.start()].strip() if named else ""
    is_array = bool(counts) or element.endswith("]")
    element = re.sub(r"\s*\[.*", "", element).removeprefix("const ")
    return TracepointField(
        name=name,
        declaration=declaration,
        offset=offset,
        size=size,
        signed=signed,
        is_string=is_array and element == "char",
        is_dynamic=location is not None,
        relative=location is not None and location[1] == "rel",
        is_pointer=element.endswith("*"),
        element_size=_element_size(element, counts, 0 if location else size) if is_array else 0,
    )


def _element_size(element: str, counts: str, size: int) -> int:
    """Bytes of an element of an array; 0 where neither its type nor its count tells."""
    if element.endswith("*"):
        return 8
    for known, names in _ELEMENT_SIZES.items():
        if element in names:
            return known
    count = re.fullmatch(r"\[(\d+)\]\s*", counts)
    return size // int(count[1]) if count and int(count[1]) else 0
