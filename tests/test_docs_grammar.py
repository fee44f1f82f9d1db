"""docs/grammar.md says what the parsers and the lists of the tests say."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bpfprobe.parse import definition, expression, fetch_type, fetcharg

if TYPE_CHECKING:
    from types import ModuleType

sys.path.insert(0, str(Path(__file__).parent / "guest" / "differential"))

from differences import DIFFERENCES
from value_differences import VALUE_DIFFERENCES

PAGE = (Path(__file__).parents[1] / "docs" / "grammar.md").read_text()


def grammar_of(module: ModuleType) -> str:
    """The block of rules in a module's docstring."""
    assert module.__doc__ is not None
    found = re.search(r"::\n\n((?:    .*\n|\n)+?)(?=\n\S|$)", module.__doc__)
    assert found is not None
    return "\n".join(line[4:] for line in found[1].rstrip().split("\n"))


@pytest.mark.parametrize(
    "module", [definition, expression, fetch_type, fetcharg], ids=lambda module: module.__name__
)
def test_the_page_has_the_grammar_of_the_parser(module: ModuleType) -> None:
    assert f"```\n{grammar_of(module)}\n```" in PAGE


def test_the_page_has_every_difference_that_is_meant() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", PAGE, re.M)
    meant = [(d.title, d.reason.replace("|", "\\|")) for d in (*DIFFERENCES, *VALUE_DIFFERENCES)]
    assert [row for row in meant if row not in rows] == []
    assert len(rows) == len(meant) + 4, "two tables, each with a head and a line below it"
