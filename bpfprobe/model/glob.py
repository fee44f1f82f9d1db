"""Globs as the kernel's glob_match() reads them (lib/glob.c), taken apart for matching in BPF."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass

MAX_TOKENS = 62
"""A bit of a u64 for each, and one for the end."""


@dataclass(frozen=True, slots=True)
class Token:
    """One step of a pattern: a star, or a set of bytes of which one must follow.

    ``ranges`` are inclusive. ``negated`` turns the set around.
    """

    is_star: bool = False
    ranges: tuple[tuple[int, int], ...] = ()
    negated: bool = False

    def accepts(self, byte: int) -> bool:
        """Whether the byte may stand here."""
        return any(low <= byte <= high for low, high in self.ranges) != self.negated


def parse_glob(pattern: bytes) -> tuple[Token, ...]:
    """The steps of a pattern; stars in a row are one. A lone [ stands for itself."""
    tokens: list[Token] = []
    at = 0
    while at < len(pattern):
        byte = pattern[at]
        at += 1
        if byte == ord("*"):
            if not (tokens and tokens[-1].is_star):
                tokens.append(Token(is_star=True))
        elif byte == ord("?"):
            tokens.append(Token(ranges=((1, 255),)))
        elif byte == ord("[") and (parsed := _parse_class(pattern, at)) is not None:
            token, at = parsed
            tokens.append(token)
        else:
            if byte == ord("\\"):
                if at == len(pattern):
                    break  # the kernel takes the pattern's own end for the character
                byte = pattern[at]
                at += 1
            tokens.append(Token(ranges=((byte, byte),)))
    return tuple(tokens)


def _parse_class(pattern: bytes, at: int) -> tuple[Token, int] | None:
    """A class after its [, and where it ends; None where no ] closes it."""
    negated = pattern[at : at + 1] == b"!"
    at += negated
    ranges: list[tuple[int, int]] = []
    first = True
    while at < len(pattern):
        low = pattern[at]
        at += 1
        if low == ord("]") and not first:
            return Token(ranges=tuple(ranges), negated=negated), at
        first = False
        high = low
        if pattern[at : at + 1] == b"-" and at + 1 < len(pattern) and pattern[at + 1] != ord("]"):
            high = pattern[at + 1]
            at += 2
        ranges.append((low, high))
    return None


def is_prefix_glob(pattern: bytes) -> bool:
    """Whether the pattern is plain text and one star at its end, or plain text alone."""
    text = pattern[:-1] if pattern.endswith(b"*") else pattern
    return not any(byte in b"*?[\\" for byte in text)
