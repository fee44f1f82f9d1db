"""Describe a probe, get typed events.

::

    import bpfprobe as bp

    opened = bp.kretprobe("do_sys_openat2", path="filename:ustring", fd="$retval:s32")
    with bp.Session(opened) as session:
        for event in session:
            print(event.pid, event.comm, event.path, event.fd)

`probe` takes a definition as text; `kprobe`, `kretprobe`, `uprobe`, `uretprobe`, `usdt`,
`tracepoint` and `syscall` take its parts. `Session` attaches them. `bpfprobe.errors` has every
exception, `bpfprobe.testing` what is needed to test probes without root.

A name is imported when it is first asked for: a tracer that starts again needs few of them.
"""

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.deliver.clock import WallClock as WallClock
    from bpfprobe.deliver.escape import escape as escape
    from bpfprobe.deliver.stack import Frame as Frame
    from bpfprobe.errors import AttachError as AttachError
    from bpfprobe.errors import BpfprobeError as BpfprobeError
    from bpfprobe.errors import CompileError as CompileError
    from bpfprobe.errors import DecodeError as DecodeError
    from bpfprobe.errors import Diagnostic as Diagnostic
    from bpfprobe.errors import LabError as LabError
    from bpfprobe.errors import LoadError as LoadError
    from bpfprobe.errors import MissingLibraryError as MissingLibraryError
    from bpfprobe.errors import ObjectError as ObjectError
    from bpfprobe.errors import PrivilegeError as PrivilegeError
    from bpfprobe.errors import ResourceError as ResourceError
    from bpfprobe.errors import SessionError as SessionError
    from bpfprobe.errors import SpecError as SpecError
    from bpfprobe.errors import TargetError as TargetError
    from bpfprobe.errors import UsageError as UsageError
    from bpfprobe.errors import VerifierError as VerifierError
    from bpfprobe.model.event import Event as Event
    from bpfprobe.model.notice import Notice as Notice
    from bpfprobe.model.options import OptionError as OptionError
    from bpfprobe.model.options import Options as Options
    from bpfprobe.model.place import Awaited as Awaited
    from bpfprobe.model.place import Place as Place
    from bpfprobe.model.spec import ProbeSpec as ProbeSpec
    from bpfprobe.model.statistics import Statistics as Statistics
    from bpfprobe.probes import Probe as Probe
    from bpfprobe.probes import kprobe as kprobe
    from bpfprobe.probes import kretprobe as kretprobe
    from bpfprobe.probes import probe as probe
    from bpfprobe.probes import syscall as syscall
    from bpfprobe.probes import tracepoint as tracepoint
    from bpfprobe.probes import uprobe as uprobe
    from bpfprobe.probes import uretprobe as uretprobe
    from bpfprobe.probes import usdt as usdt
    from bpfprobe.session import Session as Session
    from bpfprobe.tool import run_tool as run_tool
    from bpfprobe.tool import user_id as user_id

__version__ = "0.1.0"

_NAMES_OF = {
    "deliver.clock": ("WallClock",),
    "deliver.escape": ("escape",),
    "deliver.stack": ("Frame",),
    "errors": (
        "AttachError", "BpfprobeError", "CompileError", "DecodeError", "Diagnostic", "LabError",
        "LoadError", "MissingLibraryError", "ObjectError", "PrivilegeError", "ResourceError",
        "SessionError", "SpecError", "TargetError", "UsageError", "VerifierError",
    ),
    "model.event": ("Event",),
    "model.notice": ("Notice",),
    "model.options": ("OptionError", "Options"),
    "model.place": ("Awaited", "Place"),
    "model.spec": ("ProbeSpec",),
    "model.statistics": ("Statistics",),
    "probes": (
        "Probe", "kprobe", "kretprobe", "probe", "syscall", "tracepoint", "uprobe", "uretprobe",
        "usdt",
    ),
    "session": ("Session",),
    "tool": ("run_tool", "user_id"),
}  # fmt: skip
_HOMES = {name: f"bpfprobe.{module}" for module, names in _NAMES_OF.items() for name in names}

__all__ = [*sorted(_HOMES)]


if not TYPE_CHECKING:  # or a checker would believe in any name

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
