from __future__ import annotations

import errno
import os

import pytest

from bpfprobe.engine.attach_errors import explain
from bpfprobe.engine.privilege import Privileges
from bpfprobe.errors import AttachError, PrivilegeError
from bpfprobe.model.machine import FileOffset
from bpfprobe.model.site import KernelSite, Site, TracepointSite, UserSite

ROOT = Privileges(capabilities=-1, lockdown="none", paranoid=2)
NOBODY = Privileges(capabilities=0, lockdown="none", paranoid=2)
TRACER = Privileges(capabilities=1 << 38 | 1 << 39, lockdown="none", paranoid=3)
LOCKED = Privileges(capabilities=-1, lockdown="confidentiality", paranoid=2)

FUNCTION = KernelSite("vfs_read")
FUNCTION_RETURN = KernelSite("vfs_read", offset=4, returns=True)
INSIDE = KernelSite("vfs_read", offset=3)
IN_MODULE = KernelSite("nf_ct_delete", module="nf_conntrack")
USER = UserSite("/bin/bash", FileOffset(0x1234), symbol="readline")
MARKER = UserSite("/bin/bash", FileOffset(0x1234), ref_ctr_offset=FileOffset(0x88))
EVENT = TracepointSite("sched", "sched_switch", 316)


@pytest.mark.parametrize(
    ("site", "number", "code"),
    [
        (FUNCTION, errno.ENOENT, "NO_FUNCTION"),
        (IN_MODULE, errno.ENOENT, "NO_FUNCTION"),
        (FUNCTION, errno.EINVAL, "NOT_PROBEABLE"),
        (FUNCTION_RETURN, errno.EINVAL, "NOT_AN_ENTRY"),
        (INSIDE, errno.EINVAL, "FAIL_REG_PROBE"),
        (INSIDE, errno.EILSEQ, "BAD_INSN_BNDRY"),
        (FUNCTION, errno.EADDRNOTAVAIL, "AMBIGUOUS"),
        (FUNCTION, errno.EOPNOTSUPP, "NOT_SUPPORTED"),
        (FUNCTION, errno.EBUSY, "BUSY"),
        (FUNCTION, errno.ENODEV, "KPROBES_OFF"),
        (FUNCTION, errno.EMFILE, "TOO_MANY_FILES"),
        (FUNCTION, errno.E2BIG, "TOO_MANY_PROGRAMS"),
        (USER, errno.ENOENT, "NO_FILE"),
        (USER, errno.ESRCH, "NO_PROCESS"),
        (USER, 524, "NOT_SUPPORTED"),  # ENOTSUPP of <linux/errno.h>
        (USER, errno.EINVAL, "NOT_PROBEABLE"),
        (MARKER, errno.EINVAL, "REF_CTR"),
        (USER, errno.EMFILE, "TOO_MANY_FILES"),
        (USER, errno.EACCES, "NO_FILE_ACCESS"),
        (EVENT, errno.ENOENT, "NO_TRACEPOINT"),
        (EVENT, errno.EINVAL, "NOT_PROBEABLE"),
        (EVENT, errno.EXDEV, "ATTACH"),
    ],
)
def test_each_cause_has_a_code(site: Site, number: int, code: str) -> None:
    error = explain(site, OSError(number, os.strerror(number)), ROOT)
    assert isinstance(error, AttachError)
    assert (error.code, error.errno, error.site) == (code, number, str(site))
    assert str(site) in str(error)
    assert error.hint


@pytest.mark.parametrize(
    ("privileges", "code", "words"),
    [
        (NOBODY, "PRIVILEGE", "CAP_BPF with CAP_PERFMON (this process has none of them)"),
        (LOCKED, "LOCKDOWN", "lockdown=confidentiality"),
        (TRACER, "PARANOID", "perf_event_paranoid=3"),
        (ROOT, "PRIVILEGE", "seccomp"),
    ],
)
@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_who_asks(privileges: Privileges, code: str, words: str, number: int) -> None:
    error = explain(FUNCTION, OSError(number, ""), privileges)
    assert isinstance(error, PrivilegeError)
    assert error.code == code
    assert words in str(error)
    assert "kprobe:vfs_read" in str(error)
