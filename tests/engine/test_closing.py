"""Links that are ended side by side: all of them, whatever else goes wrong."""

from __future__ import annotations

import threading

import pytest

from bpfprobe.engine.closing import MOST_THREADS, close_together


class Recorded:
    """A link that waits for the others of its kind."""

    def __init__(self, barrier: threading.Barrier | None = None, error: OSError | None = None):
        self.barrier, self.error = barrier, error
        self.is_open = True

    def missed(self) -> int | None:
        return None

    def close(self) -> None:
        self.is_open = False
        if self.barrier is not None:
            self.barrier.wait(60)
        if self.error is not None:
            raise self.error


def test_they_wait_together() -> None:
    barrier = threading.Barrier(MOST_THREADS)
    links = [Recorded(barrier) for _ in range(MOST_THREADS)]
    close_together(links)
    assert not any(link.is_open for link in links)


@pytest.mark.parametrize("number", [0, 1, 2, 67])
def test_more_or_fewer_than_threads(number: int) -> None:
    links = [Recorded() for _ in range(number)]
    close_together(links)
    assert not any(link.is_open for link in links)


def test_one_that_fails_does_not_keep_others_open() -> None:
    links = [Recorded(error=OSError(5, str(n)) if n % 2 else None) for n in range(67)]
    with pytest.raises(OSError, match="Errno 5"):
        close_together(links)
    assert not any(link.is_open for link in links)


@pytest.mark.parametrize("allowed", [0, 2])
def test_where_no_more_threads_are_to_be_had(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    left, start = [None] * allowed, threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    links = [Recorded() for _ in range(67)]
    close_together(links)
    assert not any(link.is_open for link in links)
