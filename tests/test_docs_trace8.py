"""docs/trace8.md names every mistake that the comparison with trace(8) allows for."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bpfprobe.cli.trace_options import EPILOG
from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.parse.dialect import Dialect, dialect_of
from bpfprobe.parse.trace8.probe import parse_trace8

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "guest"))

import trace8_lines  # noqa: E402 - it lies where guests find it

GROUPS = [trace8_lines.KERNEL, *trace8_lines.MORE.values()]
DOCUMENT = (ROOT / "docs" / "trace8.md").read_text(encoding="utf-8")


def test_every_mistake_has_an_entry() -> None:
    listed = set(re.findall(r"^- \*\*([\w-]+)\*\*:", DOCUMENT, re.MULTILINE))
    allowed = {name for group in GROUPS for name in (*group.ours, *group.theirs)}
    allowed |= {name for name in trace8_lines.REFUSED.values() if name}
    assert allowed | {"uprobes"} == listed


def test_there_are_forty_lines_and_each_is_trace8s() -> None:
    lines = [line for group in GROUPS for line in group.lines] + [*trace8_lines.REFUSED]
    assert len(lines) >= 40
    for line in lines:
        assert dialect_of(line) is Dialect.TRACE8
        try:
            parse_trace8(SourceText(line), binary_strings="{0x" in line)
        except SpecError as error:
            raise AssertionError(f"{line}: {error}") from error


def test_the_letters_of_the_help_stand_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^  (-[a-z])      (--\S+).*?(--\S+)", EPILOG, re.MULTILINE)
    assert len(rows) == 5
    for letter, ours, theirs in rows:
        assert re.search(rf"^\| `{letter}` \| `{ours}[^|]*\| `{theirs}", readme, re.MULTILINE)
