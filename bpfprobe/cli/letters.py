"""The one-letter options of ``bpfprobe trace``, some of which depend on the dialect of the SPECs.

kprobe(8), uprobe(8) and our own options never collide; five letters of trace(8) do::

    letter  with a SPEC of ours or the kernel's   with a SPEC of trace(8)'s
    -t      --tid TID                             --timestamp
    -u      --uid USER                            --unix-timestamp
    -c      --command CMD                         --cgroup-path PATH
    -v      --format                              --verbose
    -s      --kernel-stack                        --sym_file_list FILES

So the letters are turned into long options, which never collide, before the options are read. The
words are split by our letters first; when a SPEC that comes out is trace(8)'s, or none comes out,
they are split by trace(8)'s. ``--dialect`` decides without looking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass
from bpfprobe.parse.dialect import Dialect, dialect_of, is_kprobe8_filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OBJECT_SUFFIX = ".bpfo"

_BOTH = {
    "p": "--pid=", "L": "--tid=", "b": "--buffer-pages=", "M": "--max-events=", "d": "--duration=",
    "Z": "--string-size=", "n": "--name=", "f": "--msg-filter=", "I": "--include=",
    "F": "--force", "H": "--headers", "T": "--time", "K": "--kernel-stack", "U": "--user-stack",
    "S": "--include-self", "C": "--print_cpu", "B": "--bin_cmp", "a": "--address",
    "A": "--aggregate", "h": "--help",
}  # fmt: skip
OURS = _BOTH | {
    "t": "--tid=", "u": "--uid=", "c": "--command=", "v": "--format", "s": "--kernel-stack",
}  # fmt: skip
TRACE8 = _BOTH | {
    "t": "--timestamp", "u": "--unix-timestamp", "c": "--cgroup-path=", "v": "--verbose",
    "s": "--sym_file_list=",
}  # fmt: skip
_ONLY_LONG = ("--dialect=", "--style=", "--transport=", "--buffer-bytes=", "--max-places=")
_TAKE_VALUE = frozenset(
    long.rstrip("=")
    for long in (*OURS.values(), *TRACE8.values(), *_ONLY_LONG)
    if long.endswith("=")
)


@dataclass(frozen=True, slots=True)
class Words:
    """A command line in long options; ``specs`` are the words that are no option."""

    words: tuple[str, ...]
    specs: tuple[str, ...]
    dialect: str = ""


def long_options(words: Sequence[str]) -> list[str]:
    """The same command line with every letter written as the long option that it means."""
    ours = _split(words, OURS)
    if ours.dialect:
        is_trace8 = ours.dialect == Dialect.TRACE8.value
    elif ours.specs:
        is_trace8 = _any_trace8(ours.specs)
    else:
        is_trace8 = _any_trace8(_split(words, TRACE8).specs)
    return list((_split(words, TRACE8) if is_trace8 else ours).words)


def _any_trace8(specs: Sequence[str]) -> bool:
    if is_kprobe8_filter(specs):
        return False
    return any(
        dialect_of(spec) is Dialect.TRACE8 and not spec.endswith(OBJECT_SUFFIX) for spec in specs
    )


def _split(words: Sequence[str], letters: dict[str, str]) -> Words:
    made: list[str] = []
    specs: list[str] = []
    dialect = ""
    rest = iter(words)
    for word in rest:
        if word == "--":
            left = list(rest)
            specs += left
            made += ["--", *left]
        elif word.startswith("--"):
            made.append(word)
            name, _, value = word.partition("=")
            if "=" not in word and _takes_value(name):
                value = next(rest, "")
                made.append(value)
            if name == "--dialect":
                dialect = value
        elif word.startswith("-") and len(word) > 1 and not word.startswith("-:"):
            made += _letters(word[1:], letters, rest)
        else:
            specs.append(word)
            made.append(word)
    return Words(tuple(made), tuple(specs), dialect)


def _letters(text: str, letters: dict[str, str], rest: Iterator[str]) -> Iterator[str]:
    """``-UKp 42`` as its long options; a letter that is not known stays, for the error."""
    for at, letter in enumerate(text):
        long = letters.get(letter)
        if long is None:
            yield f"-{text[at:]}"
            return
        if long.endswith("="):
            value = text[at + 1 :].removeprefix("=") or next(rest, None)
            yield long.rstrip("=")
            if value is not None:
                yield value
            return
        yield long


def _takes_value(name: str) -> bool:
    """Whether a long option, which may be cut short, takes the next word."""
    return name in _TAKE_VALUE or (
        len(name) > 3 and any(long.startswith(name) for long in _TAKE_VALUE)
    )
