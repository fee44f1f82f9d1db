"""Names that look like a name: the same rule for functions, structs and ELF symbols."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 5
"""No message names more candidates than this."""

VARIANT = re.compile(r"\.(?:isra|part|constprop|cold|llvm|lto_priv)(?:\.\d+)?")
"""What GCC and Clang put after the name of a function that they cloned or split."""


def is_variant(candidate: str, name: str) -> bool:
    """Whether ``candidate`` is ``name`` with a suffix of the compiler (``name.isra.0``)."""
    rest = candidate.removeprefix(name)
    return rest != candidate and VARIANT.match(rest) is not None


def nearest_names(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """At most five of ``names``, compiler variants of ``name`` first, then the nearest first."""
    pool = dict.fromkeys(candidate for candidate in names if candidate != name)
    found = sorted(candidate for candidate in pool if is_variant(candidate, name))
    # Ratio 0.6 at most allows a length that differs by a factor of 7/3; difflib is slow enough to
    # be spared the rest.
    fits = [c for c in pool if 3 * len(c) <= 7 * len(name) and 3 * len(name) <= 7 * len(c)]
    found += difflib.get_close_matches(name, fits, n=2 * MOST, cutoff=0.6)
    return tuple(dict.fromkeys(found))[:MOST]
