"""Where a thread is in the kernel, as far as that can be told."""

from __future__ import annotations

import os
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest

from bpfprobe.target import threads
from bpfprobe.target.threads import between, thread_is_inside

if TYPE_CHECKING:
    from collections.abc import Iterator

KALLSYMS = """\
ffffffff81000100 T vfs_read
ffffffff81000200 T __sched_text_start
ffffffff81000200 T schedule
ffffffff81000280 t do_nanosleep
ffffffff81000300 T __sched_text_end
ffffffff81000300 T __cpuidle_text_start
ffffffffc0000900 t other	[module]
"""


def test_what_the_scheduler_hides() -> None:
    assert between(KALLSYMS) == {"schedule", "do_nanosleep"}
    hidden = re.sub("^f{8}.{8}", "0" * 16, KALLSYMS, flags=re.MULTILINE)
    assert between(hidden) == {"schedule", "do_nanosleep"}, "their order is that of addresses"
    assert between(KALLSYMS.partition("__sched_text_end")[0]) == frozenset()
    assert between("") == frozenset()


@pytest.fixture
def sleeper() -> Iterator[int]:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    time.sleep(0.05)
    yield thread.native_id or 0
    ended.set()
    thread.join()


@pytest.mark.skipif(os.geteuid() != 0, reason="/proc/PID/stack needs root")
def test_a_thread_that_sleeps(sleeper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "has_initial_numbers", lambda: True)
    monkeypatch.setattr(threads, "_scheduler_functions", lambda: frozenset({"do_nanosleep"}))
    assert thread_is_inside(sleeper, "futex_wait_queue_of_no_kernel") in (False, None)
    assert thread_is_inside(sleeper, "do_nanosleep") is None, "it would not be shown"
    assert thread_is_inside(sleeper, "") is None


def test_what_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "has_initial_numbers", lambda: True)
    assert thread_is_inside(0, "default_idle_call") is None, "the idle thread has no /proc/0"
    assert thread_is_inside((1 << 22) + 1, "vfs_read") is False, "it has ended"
    monkeypatch.setattr(threads, "has_initial_numbers", lambda: False)
    assert thread_is_inside((1 << 22) + 1, "vfs_read") is None, "the number is of another namespace"
