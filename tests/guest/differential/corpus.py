"""The corpus: definitions with what the kernel says to them, and what their placeholders stand for.

`corpus.txt` is read as it stands both by the test in the guest, where the kernel is asked, and by
the test without a kernel (tests/test_corpus.py), where bpfprobe alone has to give the code and the
caret that are written there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("corpus.txt")
ACCEPTED = "ok"
_ENTRY = re.compile(r"(?P<code>\S+)\s+(?P<text>\S.*)")


@dataclass(frozen=True)
class Verdict:
    """What became of a definition: a code with the column of its caret, or ok."""

    code: str
    column: int = -1

    @property
    def accepts(self) -> bool:
        return self.code == ACCEPTED

    def __str__(self) -> str:
        return self.code if self.accepts else f"{self.code} at {self.column}"


@dataclass(frozen=True)
class Entry:
    """A line of the corpus; ``needs`` is what the kernel's README has to say, or empty."""

    text: str
    expected: Verdict
    needs: str
    line: str


def read_corpus(words: Mapping[str, str]) -> list[Entry]:
    """Return every definition, its placeholders replaced: ours, and those of the kernel's tests."""
    return [*_read(FILE, words), *_read(FILE.with_name("selftests.txt"), words)]


def _read(file: Path, words: Mapping[str, str]) -> list[Entry]:
    entries: list[Entry] = []
    needs = ""
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if line.startswith("[") and line.endswith("]"):
            needs = line[1:-1]
        elif line and not line.startswith("#"):
            found = _ENTRY.fullmatch(line)
            assert found, f"{file.name}:{number}: {line}"
            text = re.sub(r"\{(\w+)\}", lambda hole: words[hole[1]], found["text"])
            column = text.find("^")
            text = text.replace("^", "", 1)
            verdict = Verdict(found["code"], column)
            entries.append(Entry(text, verdict, needs, f"{file.stem}:{number}"))
    return entries


def constant_words(registers: list[str]) -> dict[str, str]:
    """The placeholders that are the same everywhere."""
    return {
        "name31": "n" * 31,
        "name33": "n" * 33,
        "name63": "e" * 63,
        "name64": "e" * 64,
        "args129": " ".join(f"a{n}=%ax" for n in range(129)),
        "registers": " ".join(f"%{name}" for name in registers),
        "module": "overlay",
        "module_function": "ovl_fill_super",
        "many": "ip_append_data",
        "dentry": "24",
        "void": "kfree",
    }


@dataclass(frozen=True)
class Pair:
    """Two definitions after one another, and what is said to the second."""

    first: str
    second: str
    expected: Verdict
    needs: str


def read_appending(words: Mapping[str, str]) -> list[Pair]:
    """Every pair of definitions, its placeholders replaced."""
    pairs = []
    needs = ""
    for line in FILE.with_name("appending.txt").read_text().splitlines():
        if line.startswith("[") and line.endswith("]"):
            needs = line[1:-1]
        elif line and not line.startswith("#"):
            code, *both = re.split(r" {2,}", line)
            place = f"{words['binary']}:{words['offset']}"
            first, second = (text.replace("{library}", place) for text in both)
            verdict = Verdict(code, second.find("^"))
            pairs.append(Pair(first, second.replace("^", "", 1), verdict, needs))
    return pairs
