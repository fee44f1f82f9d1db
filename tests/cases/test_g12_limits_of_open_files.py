"""The soft limit of open files is raised to the hard one once it is reached."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os, resource
from bpfprobe.engine.syscalls import Kernel
from bpfprobe.engine.perf_event import output_request

def opened(most):
    kernel, request, count = Kernel(), output_request(0, 1), 0
    # The system call itself is stood in for: this needs no privilege.
    kernel._syscall = lambda *_: os.open("/dev/null", os.O_RDONLY) if room() else failed()
    for count in range(most):
        try:
            kernel.perf_event_open(request.attr, request.pid, request.cpu)
        except OSError as error:
            return count, error.errno
    return most, 0

def room():
    # Some are left for the look at them.
    return len(os.listdir("/proc/self/fd")) + 4 < resource.getrlimit(resource.RLIMIT_NOFILE)[0]

def failed():
    import ctypes, errno
    ctypes.set_errno(errno.EMFILE)
    return -1

resource.setrlimit(resource.RLIMIT_NOFILE, (40, 90))
print(*opened(23), *resource.getrlimit(resource.RLIMIT_NOFILE))
print(*opened(43), *resource.getrlimit(resource.RLIMIT_NOFILE))
count, error = opened(97)
print(count < 97, error, *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_soft_limit_is_raised_only_once_it_is_reached() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["23 0 40 90", "43 0 90 90", "True 24 90 90"]
