"""Texts and globs of filters as numbers that a program can be handed.

A text is compared 8 bytes at a time: each word of the memory, under a mask, with a word wanted.

A glob is followed by a program that holds a bit for each step that could be next, in one u64 ::

    0 ... 0 | first step ... last step | bit 62: the end | bit 63: fits

``table[byte]`` has the bits of the steps that take this byte; a byte moves each bit that is set in
both one place up, and a star keeps its own. The NUL is taken by the end alone, which gives the
sign bit. So the number is positive for as long as there is something to find out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.glob import MAX_TOKENS, is_prefix_glob, parse_glob
from bpfprobe.model.value import CommText, TextAt, TextEquals

if TYPE_CHECKING:
    from bpfprobe.model.value import TextMatches, TextValue

COMM_BYTES = 16
GLOB_BYTES = 1024
"""How much of a string a glob looks at; the kernel's filters look at as much."""
_END = MAX_TOKENS
_FINE_STEP, _FINE_MOST, _COARSE_STEP = 8, 64, 32


def is_masked(asked: TextEquals | TextMatches) -> bool:
    """Whether masks do: for plain text, and for plain text with a star behind it."""
    return isinstance(asked, TextEquals) or is_prefix_glob(asked.pattern)


def room_of(asked: TextEquals | TextMatches) -> int:
    """How many bytes of the text are looked at; the same for strings of about the same length.

    One byte more than is compared: a longer string that was cut to fit ends in a NUL as well.
    """
    if isinstance(asked.text, CommText):
        return COMM_BYTES
    if not is_masked(asked):
        return _within(asked.text, GLOB_BYTES)
    need = len(_wanted(asked)) + 1
    step = _FINE_STEP if need <= _FINE_MOST else _COARSE_STEP
    return _within(asked.text, -(-need // step) * step)


def masked_bytes(asked: TextEquals | TextMatches, room: int) -> bytes:
    """For each 8 bytes of the room a mask and a word, a u64 each."""
    wanted = _wanted(asked)
    if len(wanted) > room:
        return (bytes(8) + b"\1".ljust(8, b"\0")).ljust(2 * room, b"\0")  # never under such a mask
    mask = (b"\xff" * len(wanted)).ljust(room, b"\0")
    words = wanted.ljust(room, b"\0")
    return b"".join(mask[at : at + 8] + words[at : at + 8] for at in range(0, room, 8))


def glob_bytes(pattern: bytes) -> bytes:
    """The u64 to begin with, the u64 of the stars, and the table of 256 u64."""
    tokens = parse_glob(pattern)
    first = _END - len(tokens)
    stars = sum(1 << first + n for n, token in enumerate(tokens) if token.is_star)
    start = 1 << first
    table = [1 << _END]
    for byte in range(1, 256):
        steps = (1 << first + n for n, t in enumerate(tokens) if t.is_star or t.accepts(byte))
        table.append(sum(steps))
    start |= (start & stars) << 1
    return b"".join(word.to_bytes(8, "little") for word in (start, stars, *table))


def _wanted(asked: TextEquals | TextMatches) -> bytes:
    if isinstance(asked, TextEquals):
        return asked.literal + b"\0"
    if asked.pattern.endswith(b"*"):
        return asked.pattern[:-1]
    return asked.pattern + b"\0"


def _within(text: TextValue, room: int) -> int:
    if isinstance(text, TextAt) and text.size:
        return min(room, -(-text.most // 8) * 8)
    return room
