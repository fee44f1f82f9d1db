"""Names that fit a glob or look like a name: one rule for functions, structs and ELF symbols."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 5
"""No message names more candidates than this."""

_SCORED = 150
"""difflib takes about 20 us a name: only this many of the most promising are shown to it."""

_VARIANT = regex(r"\.(?:isra|part|constprop|cold|llvm|lto_priv)(?:\.\d+)?")


def is_variant(candidate: str, name: str) -> bool:
    """Whether ``candidate`` is a clone or a part of ``name`` made by GCC or Clang (``.isra.0``)."""
    rest = candidate.removeprefix(name)
    return rest != candidate and _VARIANT.match(rest) is not None


def matching_names(pattern: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names that fit a glob (``*``, ``?``, ``[...]``, case matters), sorted, each once."""
    fits = re.compile(fnmatch.translate(pattern)).match
    return tuple(sorted({name for name in names if fits(name)}))


def nearest_names(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """At most five of ``names``, compiler variants of ``name`` first, then the nearest first."""
    import difflib  # costs more than all else here, and only mistakes want it

    pool = {candidate for candidate in names if candidate != name}
    found = sorted(candidate for candidate in pool if is_variant(candidate, name))
    near = difflib.get_close_matches(name, _promising(name, pool), n=2 * MOST, cutoff=0.6)
    return tuple(dict.fromkeys(found + near))[:MOST]


def _promising(name: str, pool: set[str]) -> list[str]:
    """Those that share the most pairs of neighbouring characters with ``name``."""
    pairs = {name[at : at + 2] for at in range(len(name) - 1)} or {name}
    length = len(name)
    # A ratio of 0.6 cannot be had when one is more than 7/3 as long as the other.
    fits = [c for c in pool if 3 * len(c) <= 7 * length <= 49 * len(c) / 3]
    if len(fits) <= _SCORED:
        return sorted(fits)
    scored = [(sum([pair in c for pair in pairs]) / (len(c) + length), c) for c in fits]
    scored.sort(reverse=True)
    return [candidate for _, candidate in scored[:_SCORED]]
