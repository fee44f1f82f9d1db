"""Signals wait while things are opened, but not while a description is worked out."""

from __future__ import annotations

import signal

import pytest

from bpfprobe.signals import all_or_nothing, held_back, let_through


@pytest.fixture(autouse=True)
def handlers():
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before


def interrupt():
    signal.raise_signal(signal.SIGINT)


def test_a_signal_comes_at_once_where_it_is_let_through():
    undone, steps = [], []

    def opening():
        with all_or_nothing(lambda: undone.append(1)):
            with let_through():
                interrupt()
                steps.append("not reached")
            steps.append("neither")

    with pytest.raises(KeyboardInterrupt):
        opening()
    assert (undone, steps) == ([1], [])


def test_one_that_came_before_comes_when_it_is_let_through():
    steps = []

    def opening():
        with held_back():
            interrupt()
            steps.append("opening")
            with let_through():
                steps.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        opening()
    assert steps == ["opening"]


def test_afterwards_they_wait_again():
    steps = []

    def opening():
        with held_back():
            with let_through():
                steps.append("described")
            interrupt()
            steps.append("opened")

    with pytest.raises(KeyboardInterrupt):
        opening()
    assert steps == ["described", "opened"]


def test_without_a_hold_it_changes_nothing():
    with pytest.raises(KeyboardInterrupt), let_through():
        interrupt()
