"""Changes that somebody could make to a file of ours, at random from a seed."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

MARK = "EV&L"
"""A piece of each text that is put in: it must never be found where text is code."""
TEXTS = (
    "", f'"; {MARK}(); //', f"*/ {MARK} /*", f"\x1b[31m{MARK}", f"x\n#define {MARK}",
    f"${{{MARK}}}", f"{MARK}\\", f"\ud83d{MARK}", f"\udcff{MARK}", f"{MARK}\0", "0", "-1",
    "%d%s", MARK * 300, "../" + MARK, "u64", "struct", "__attribute__", "vfs_read",
    "file", "x86_64", "aarch64", "4@%eax", "-8(%rbp)",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 3, 7, 8, 16, 24, 63, 64, 127, 255, 4095, 65535, 65536, (1 << 31) - 1, 1 << 31,
    (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, -(1 << 63), 10**30,
)  # fmt: skip


def examples(usual: int) -> int:
    """Return how many to try: ``BPFPROBE_FUZZ_EXAMPLES`` where it is set."""
    return int(os.environ.get("BPFPROBE_FUZZ_EXAMPLES", usual))


def mutated_json(content: Any, chance: random.Random) -> Any:
    """Return a copy with one to three values changed, taken away, or put elsewhere."""
    content = copy.deepcopy(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = list(_places(content))
        holder, key = chance.choice(places)
        match chance.randrange(8):
            case 0:
                del holder[key]
            case 1 | 2:
                other, name = chance.choice(places)
                holder[key] = copy.deepcopy(other[name]) if name in _keys(other) else None
            case 3 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 4:
                holder[key] = _strange(chance)
            case _:
                holder[key] = _like(holder[key], chance)
    return content


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _places(value: Any) -> Any:
    """Every place in a value that another could be put to."""
    for key in list(_keys(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _like(value: Any, chance: random.Random) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool) or value is None:
        return chance.choice((True, False, None))
    if isinstance(value, int):
        return chance.choice((*NUMBERS, value + 1, value - 1, value * 8))
    if isinstance(value, str):
        return chance.choice((*TEXTS, value + chance.choice(TEXTS), value[1:]))
    if isinstance(value, list):
        return value * chance.choice((0, 2, 9))
    return _strange(chance)


def _strange(chance: random.Random) -> Any:
    deep: Any = chance.choice(TEXTS)
    for _ in range(chance.choice((3, 50, 120))):
        pointer = {"": "KPointer", "spelling": "x", "target": deep}
        deep = [deep] if chance.random() < 0.3 else pointer
    return chance.choice(
        (1.5, float("nan"), float("inf"), [], {}, {"": MARK}, [MARK] * 3, deep, *TEXTS, *NUMBERS)
    )
