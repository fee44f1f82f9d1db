"""Who descends from a process, whatever the order in which it is told."""

from __future__ import annotations

from itertools import permutations

import pytest

from bpfprobe.follow import family as module
from bpfprobe.follow.family import Family

TREE = {2: 1, 3: 2, 4: 3, 5: 1}


def test_those_that_live_already() -> None:
    assert Family(2, TREE).members() == (2, 3, 4)
    assert Family(5, TREE).members() == (5,)
    assert 1 not in Family(2, TREE)


@pytest.mark.parametrize("order", list(permutations([(3, 2), (4, 3), (6, 4), (7, 5)])))
def test_forks_in_any_order(order: tuple[tuple[int, int], ...]) -> None:
    family = Family(2, {2: 1, 5: 1})
    joined: list[int] = []
    for pid, parent in order:
        joined += family.forked(pid, parent)
    assert sorted(joined) == [3, 4, 6]
    assert family.members() == (2, 3, 4, 6)


def test_a_parent_that_has_ended_before_its_child_is_told_of() -> None:
    family = Family(2, TREE)
    family.ended(3)
    assert family.forked(9, 3) == (9,)


def test_a_number_that_is_used_again_by_another() -> None:
    family = Family(2, TREE)
    family.ended(3)
    assert family.forked(3, 5) == ()
    assert 3 not in family
    assert family.forked(3, 2) == (3,)


def test_not_all_that_have_ended_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    family = Family(2, {2: 1})
    for pid in (11, 12, 13):
        family.forked(pid, 2)
        family.ended(pid)
        family.ended(pid)
    assert family.members() == (2, 12, 13)


def test_a_look_at_all_says_who_lives() -> None:
    family = Family(2, TREE)
    family.learn({2: 1, 4: 2, 8: 4, 9: 1})
    assert family.members() == (2, 4, 8)


def test_parents_in_a_circle_end() -> None:
    assert Family(2, {3: 4, 4: 3}).members() == (2,)


def test_a_number_that_is_used_again_before_its_end_is_told() -> None:
    family = Family(2, TREE)
    assert family.forked(3, 5) == ()
    assert family.forked(3, 2) == (3,)
    assert family.forked(2, 5) == (), "the head's own"
    assert 2 not in family


def test_one_that_goes_on_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 1)
    family = Family(2, TREE)
    family.ended(3)
    family.goes_on(3)
    for pid in (11, 12):
        family.forked(pid, 2)
        family.ended(pid)
    assert family.members() == (2, 3, 4, 12)


def test_strangers_are_forgotten_when_they_end() -> None:
    family = Family(2, {2: 1})
    for pid in range(10, 40):
        family.forked(pid, 9)
        family.ended(pid)
    assert (family._parents, family._children) == ({}, {})
