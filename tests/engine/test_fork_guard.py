from __future__ import annotations

import gc
import os
import weakref

import pytest

from bpfprobe.engine.fork_guard import ForkGuard, OwnedFd


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def in_fork(check: object) -> bool:
    """What ``check()`` says in a forked child."""
    child = os.fork()
    if child == 0:
        os._exit(0 if check() else 1)  # type: ignore[operator]  # a callable, as it is called
    return os.waitpid(child, 0)[1] == 0


def test_a_child_closes_what_is_kept_and_the_parent_does_not() -> None:
    guard, (reader, writer) = ForkGuard(), os.pipe()
    kept, free = OwnedFd(reader), OwnedFd(writer)
    guard.keep(kept)
    guard.keep(free)
    guard.forget(free)
    assert in_fork(lambda: not is_open(reader) and is_open(writer) and kept.number == -1)
    assert is_open(reader)
    guard.close_all()
    free.close()
    assert not is_open(reader)


def test_a_number_that_was_used_again_is_not_closed() -> None:
    reader, writer = os.pipe()
    owned = OwnedFd(reader)
    owned.close()
    again = os.dup(writer)
    assert again == reader
    owned.close()
    assert is_open(again)
    os.close(again)
    os.close(writer)


def test_one_failure_does_not_keep_the_others_open() -> None:
    guard, (reader, writer) = ForkGuard(), os.pipe()
    good, bad = OwnedFd(reader), OwnedFd(writer)
    guard.keep(good)
    guard.keep(bad)
    os.close(writer)
    with pytest.raises(OSError, match="Bad file descriptor"):
        guard.close_all()
    assert not is_open(reader)


def test_the_callback_does_not_keep_the_guard_alive() -> None:
    guard = ForkGuard()
    gone = weakref.ref(guard)
    del guard
    gc.collect()
    assert gone() is None
    assert in_fork(lambda: True)
