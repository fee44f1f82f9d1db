"""Lists of CPUs as the kernel reads them (bitmap_parselist() of lib/bitmap-str.c)."""

from __future__ import annotations

import re

from bpfprobe.model.regex import regex

_PART = regex(
    r"(?:(?P<all>all)|(?P<first>\d+|N)(?:-(?P<last>\d+|N))?)(?::(?P<used>\d+)/(?P<group>\d+))?",
    re.ASCII,
)
_WIDEST_GROUP = 1 << 31


def parse_cpulist(text: str, cpus: int) -> tuple[tuple[int, int], ...]:
    """``0-3,8``, ``0-15:2/4`` (the first 2 of each 4), ``all``, ``N`` (the last): as ranges.

    Ranges are inclusive, in order, and neither touch nor overlap. ``cpus`` is how many there can
    be. Raises ValueError with what is wrong, for a list that is empty or names others.
    """
    chosen: set[int] = set()
    for part in re.split(r"[,\s]+", text.strip(", \t\n")):
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} is neither a CPU nor a range of them")
        chosen.update(_cpus_of(found, cpus))
    return _ranges(sorted(chosen))


def _cpus_of(found: re.Match[str], cpus: int) -> list[int]:
    first, last = 0, cpus - 1
    if not found["all"]:
        first = _number(found["first"], cpus)
        last = _number(found["last"], cpus) if found["last"] else first
    if first > last:
        raise ValueError(f"{found.group()} goes backwards")
    if last >= cpus:
        raise ValueError(f"there is no CPU {last}: the last is {cpus - 1}")
    used, group = int(found["used"] or 1), int(found["group"] or 1)
    if not 0 < group < _WIDEST_GROUP or not 0 < used <= group:
        raise ValueError(f"{found.group()} takes {used} of each {group}")
    return [cpu for cpu in range(first, last + 1) if (cpu - first) % group < used]


def _number(text: str, cpus: int) -> int:
    return cpus - 1 if text == "N" else int(text)


def _ranges(chosen: list[int]) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for cpu in chosen:
        if ranges and ranges[-1][1] == cpu - 1:
            ranges[-1] = (ranges[-1][0], cpu)
        else:
            ranges.append((cpu, cpu))
    return tuple(ranges)
