"""Events that somebody defined in tracefs, and kprobes that are registered, whoever did it."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass
from bpfprobe.model.regex import regex

_BCC = regex(r".+_bcc_(?P<pid>[1-9]\d*)")
_LIBBPF = regex(r"libbpf_(?P<pid>[1-9]\d*)_.+")


@dataclass(frozen=True, slots=True)
class Maker:
    """The tool that a name tells of; ``pid`` is its process where the name has one, else 0.

    The pid is that of getpid(2): of the pid namespace that the tool ran in.
    """

    tool: str
    pid: int = 0


@dataclass(frozen=True, slots=True)
class DefinedEvent:
    """A line of ``kprobe_events``, ``uprobe_events`` or ``dynamic_events``.

    ``kind`` is its letter (``p r f t e s``), ``file`` the control file that took it. ``enabled`` is
    what the event's ``enable`` file says: perf_event_open(2) arms an event without it. ``hits`` and
    ``misses`` are of ``kprobe_profile`` and ``uprobe_profile`` (which counts no misses). ``states``
    are the kernel's words for its kprobe (``OPTIMIZED FTRACE DISABLED GONE``), none of them for one
    that is armed with a breakpoint. Each is None where the kernel does not say.
    """

    file: str
    line: str
    kind: str
    maxactive: int
    group: str
    name: str
    place: str
    arguments: str
    enabled: bool | None = None
    hits: int | None = None
    misses: int | None = None
    states: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"

    @property
    def maker(self) -> Maker | None:
        """Who made it, as far as the name tells.

        bcc names events ``*_bcc_PID`` in the groups ``kprobes`` and ``uprobes`` (bcc,
        src/cc/libbpf.c: create_probe_event), libbpf ``libbpf_PID_*`` (gen_probe_legacy_event_name),
        perf-probe(1) makes groups ``probe``, ``probe_PROGRAM`` and ``sdt_PROVIDER``.
        """
        if self.group in ("kprobes", "uprobes"):
            for tool, pattern in (("bcc", _BCC), ("libbpf", _LIBBPF)):
                if found := pattern.fullmatch(self.name):
                    return Maker(tool, int(found["pid"]))
        if self.group == "probe" or self.group.startswith(("probe_", "sdt_")):
            return Maker("perf probe")
        return Maker("bpfprobe") if self.group == "bpfprobe" else None


@dataclass(frozen=True, slots=True)
class RegisteredKprobe:
    """A line of ``kprobes/list`` in debugfs; ``place`` is ``SYMBOL+0xOFFSET``."""

    address: int
    returns: bool
    place: str
    module: str
    states: tuple[str, ...]
