"""What a link tells of itself, also while another thread ends it."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from bpfprobe.engine.attach import PerfLink
from bpfprobe.engine.fork_guard import ForkGuard
from bpfprobe.errors import LoadError


class Refusing:
    """A kernel that says nothing of a link, and has another thread close it first."""

    closed: PerfLink | None = None

    def bpf(self, *_: Any) -> int:
        if self.closed is not None:
            self.closed.close()
        raise OSError(errno.EBADF, "Bad file descriptor")


@pytest.mark.parametrize("closes", [False, True])
def test_a_link_of_which_nothing_is_said(closes: bool) -> None:
    kernel: Any = Refusing()
    link = PerfLink(kernel, ForkGuard(), os.dup(0), is_bpf_link=True)
    if closes:
        kernel.closed = link
        assert link.missed() is None
    else:
        with pytest.raises(LoadError, match="Bad file descriptor") as error:
            link.missed()
        assert (error.value.code, error.value.errno) == ("LINK_READ", errno.EBADF)
    link.close()
