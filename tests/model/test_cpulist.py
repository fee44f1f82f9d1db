from __future__ import annotations

import pytest

from bpfprobe.model.cpulist import parse_cpulist


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("0", ((0, 0),)),
        ("0-3", ((0, 3),)),
        ("0-3,8", ((0, 3), (8, 8))),
        ("8,0-3", ((0, 3), (8, 8))),
        ("1,2,3", ((1, 3),)),
        ("1-5,3-7", ((1, 7),)),
        (" 1 , 2 ", ((1, 2),)),
        ("1 5", ((1, 1), (5, 5))),
        ("0-15:2/4", ((0, 1), (4, 5), (8, 9), (12, 13))),
        ("all", ((0, 15),)),
        ("all:1/8", ((0, 0), (8, 8))),
        ("N", ((15, 15),)),
        ("14-N", ((14, 15),)),
        ("N-N", ((15, 15),)),
    ],
)
def test_ranges(text: str, ranges: tuple[tuple[int, int], ...]) -> None:
    assert parse_cpulist(text, 16) == ranges


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is neither"),
        ("x", "'x' is neither"),
        ("٣", "is neither"),
        ("-1", "'-1' is neither"),
        ("0x1", "'0x1' is neither"),
        ("1-", "'1-' is neither"),
        ("3-1", "3-1 goes backwards"),
        ("16", "there is no CPU 16: the last is 15"),
        ("0-16", "there is no CPU 16"),
        ("99999999999999999999", "there is no CPU 9"),
        ("0-3:0/2", "0-3:0/2 takes 0 of each 2"),
        ("0-3:3/2", "takes 3 of each 2"),
        ("0-3:1/0", "takes 1 of each 0"),
    ],
)
def test_what_is_no_list(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_cpulist(text, 16)
