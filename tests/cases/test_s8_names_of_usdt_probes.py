"""A USDT probe may have a name of any characters, and what is listed can be typed."""

from __future__ import annotations

import subprocess

import pytest

from bpfprobe.cli.markers import list_markers
from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.parse.any_dialect import parse_description
from bpfprobe.resolve.usdt import _marker
from bpfprobe.target.live import LiveTarget

NAMES = [
    ("test", "probe2"), ("test", '"probe1"'), ("test", "a+b"), ("test", "it's"), ("te::st", "x:y"),
    ("my provider", "with space"), ("test", "star*"), ("test", "what?"), ("test", "f(int)"),
    ("test", "[x]"), ("test", "less<3>"),
]  # fmt: skip
NOTE = r"""
990: nop
.pushsection .note.stapsdt,"","note"
.balign 4
.4byte 992f-991f, 994f-993f, 3
991: .asciz "stapsdt"
992: .balign 4
993: .8byte 990b, 0, 0
.asciz "{}"
.asciz "{}"
.asciz ""
994: .balign 4
.popsection
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("usdt")
    notes = [NOTE.format(*(part.replace('"', r"\"") for part in pair)) for pair in NAMES]
    (folder / "usdt.s").write_text(".globl main\nmain:\n" + "".join(notes) + "ret\n")
    subprocess.run(["gcc", "-o", "usdt", "usdt.s"], cwd=folder, check=True, capture_output=True)
    return str(folder / "usdt")


def found(program, typed):
    spec = parse_description(SourceText(typed))
    target = LiveTarget()
    marker = _marker(spec.point, spec.point_span, target, target.binary(program, None))
    return marker.provider, marker.name


def test_what_is_listed_can_be_typed(program):
    lines = list(list_markers(f"{program}:*", LiveTarget(), 0, None))
    assert sorted(found(program, f"{line} x=$arg1 if pid == 3") for line in lines) == sorted(NAMES)


@pytest.mark.parametrize(
    ("typed", "pair"),
    [
        ('test:"probe2"', ("test", "probe2")),
        ('"test":"probe1"', ("test", '"probe1"')),
        ('""probe1""', None),
        ('"star*"', ("test", "star*")),
        ("a+b", ("test", "a+b")),
    ],
)
def test_quotes_are_of_the_name_or_around_it(program, typed, pair):
    if pair is not None:
        assert found(program, f"usdt:{program}:{typed}") == pair
        return
    with pytest.raises(SpecError):
        found(program, f"usdt:{program}:{typed}")


@pytest.mark.parametrize("typed", ["test:prob*", "prob?2", "t*:probe2"])
def test_a_pattern_is_called_one(program, typed):
    with pytest.raises(SpecError) as caught:
        found(program, f"usdt:{program}:{typed}")
    assert "this is a pattern" in caught.value.message
    assert f"bpfprobe list 'usdt:{program}:{typed}'" in (caught.value.hint or "")


def test_a_name_that_is_missing_is_called_by_itself(program):
    with pytest.raises(SpecError) as caught:
        found(program, f'usdt:{program}:test:"probe3"')
    assert caught.value.code == "NO_MARKER"
