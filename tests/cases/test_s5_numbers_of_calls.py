"""The number after the letter of a definition: r alone has one, and it is not 0."""

from __future__ import annotations

import pytest

from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import KernelPoint
from bpfprobe.parse.any_dialect import parse_description


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("r0 vfs_read", "BAD_MAXACT"),
        ("r00:ev vfs_read", "BAD_MAXACT"),
        ("r0x0 vfs_read", "BAD_MAXACT"),
        ("r08 vfs_read", "BAD_MAXACT"),
        ("r0 /bin/sh:0x10", "BAD_MAXACT"),
        ("f100 vfs_read", "BAD_MAXACT"),
        ("f1a111 vfs_read", "BAD_MAXACT"),
        ("f7:ev vfs_read%return", "BAD_MAXACT"),
        ("t100 kfree", "BAD_MAXACT"),
        ("t0:ev kfree", "BAD_MAXACT"),
        ("p0 vfs_read", "BAD_MAXACT_TYPE"),
        ("r7 /bin/sh:0x10", "BAD_MAXACT_TYPE"),
    ],
)
def test_a_number_that_is_none(text: str, code: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_description(SourceText(text))
    (only,) = caught.value.diagnostics
    assert (only.code, only.span and only.span.start) == (code, 1)


@pytest.mark.parametrize(("text", "number"), [("r vfs_read", 0), ("r0x10:ev vfs_read", 16)])
def test_a_number_of_calls(text: str, number: int) -> None:
    point = parse_description(SourceText(text)).point
    assert isinstance(point, KernelPoint)
    assert point.maxactive == number
