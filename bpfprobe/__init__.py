"""Describe a probe, get typed events.

::

    import bpfprobe as bp

    opened = bp.kretprobe("do_sys_openat2", path="filename:ustring", fd="$retval:s32")
    with bp.Session(opened) as session:
        for event in session:
            print(event.pid, event.comm, event.path, event.fd)

`probe` takes a definition as text; `kprobe`, `kretprobe`, `uprobe`, `uretprobe`, `tracepoint` and
`syscall` take its parts. `Session` attaches them. `bpfprobe.errors` has every exception,
`bpfprobe.testing` what is needed to test probes without root.
"""

from bpfprobe.deliver.clock import WallClock
from bpfprobe.deliver.escape import escape
from bpfprobe.errors import (
    AttachError,
    BpfprobeError,
    CompileError,
    DecodeError,
    Diagnostic,
    LabError,
    LoadError,
    MissingLibraryError,
    PrivilegeError,
    SessionError,
    SpecError,
    TargetError,
    VerifierError,
)
from bpfprobe.model.event import Event
from bpfprobe.model.options import OptionError, Options
from bpfprobe.model.spec import ProbeSpec
from bpfprobe.model.statistics import Statistics
from bpfprobe.parse.builder import (
    kprobe,
    kretprobe,
    probe,
    syscall,
    tracepoint,
    uprobe,
    uretprobe,
)
from bpfprobe.session import Session
from bpfprobe.tool import run_tool, user_id

__version__ = "0.1.0"

__all__ = [
    "AttachError",
    "BpfprobeError",
    "CompileError",
    "DecodeError",
    "Diagnostic",
    "Event",
    "LabError",
    "LoadError",
    "MissingLibraryError",
    "OptionError",
    "Options",
    "PrivilegeError",
    "ProbeSpec",
    "Session",
    "SessionError",
    "SpecError",
    "Statistics",
    "TargetError",
    "VerifierError",
    "WallClock",
    "escape",
    "kprobe",
    "kretprobe",
    "probe",
    "run_tool",
    "syscall",
    "tracepoint",
    "uprobe",
    "uretprobe",
    "user_id",
]
