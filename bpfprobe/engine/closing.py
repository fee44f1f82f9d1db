"""Ends links side by side: the kernel lets those that wait for it together wait only once."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.engine import Link

MOST_THREADS = 32


def close_together(links: Sequence[Link]) -> None:
    """Close every link; one that fails does not keep the others open. Raises OSError.

    Serially each link of a uprobe takes 20 to 90 ms, for as long as an RCU grace period.
    """
    left = deque(links)
    failures: list[OSError] = []

    def close_some() -> None:
        while left:
            try:
                left.pop().close()
            except IndexError:  # another was quicker
                return
            except OSError as error:
                failures.append(error)

    threads = [threading.Thread(target=close_some) for _ in links[1:MOST_THREADS]]
    begun = []
    with suppress(RuntimeError):  # no more threads are to be had
        for thread in threads:
            thread.start()
            begun.append(thread)
    close_some()
    for thread in begun:
        thread.join()
    if failures:
        raise failures[0]
