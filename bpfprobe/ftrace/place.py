"""Where a fetcharg stands, and what may stand there."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bpfprobe.model.bound import SyscallSites
from bpfprobe.model.noun import dataclass
from bpfprobe.model.site import KernelSite, TracepointSite, UserSite, UserSites
from bpfprobe.model.spec import KernelPoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.bound import Bound
    from bpfprobe.target import Target

# arch/x86/include/uapi/asm/ptrace.h: what the kernel saved of the caller, 8 bytes each.
_X86_64_SAVED = (
    "r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss".split()  # noqa: SIM905 - reads as the list it is
)


class NoFormError(Exception):
    """ftrace has no form for a value; the text says why. It never leaves this package."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in ftrace's words.

    ``letter`` is what its line begins with, ``where`` the place in it. ``fields`` are those of a
    tracepoint by their offset; ``is_user`` is true in a program, where every pointer points into
    its memory.
    """

    letter: str
    where: str
    arch: Arch
    returns: bool = False
    is_user: bool = False
    is_syscall: bool = False
    fields: Mapping[int, str] = MappingProxyType({})
    needs: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()

    def register(self, member: str) -> str:
        """A register by its member of ``struct pt_regs``."""
        for name, of_it in self.arch.registers.items():
            if of_it == member:
                return f"%{name}"
        raise NoFormError(f"ftrace has no name for the register {member}")

    def saved_offset(self, member: str) -> int:
        """Bytes from the start of ``struct pt_regs`` to a register of a caller of the kernel."""
        if self.arch.name == "x86_64":
            return 8 * _X86_64_SAVED.index(member)
        # arch/arm64/include/asm/ptrace.h: regs[31], sp, pc, pstate, orig_x0
        return 8 * 34 if member == "orig_x0" else 8 * int(member[5:-1])


def place_of(bound: Bound, arch: Arch, target: Target) -> Place:
    """The place of a probe. Raises `NoFormError`."""
    site = bound.site
    if bound.more_sites:
        raise NoFormError(
            f"it stands at {1 + len(bound.more_sites)} places, and a line of ftrace is for one"
        )
    letter = "r" if bound.returns else "p"
    if isinstance(site, KernelSite):
        point = bound.spec.point
        maxactive = point.maxactive if isinstance(point, KernelPoint) else 0
        return Place(f"{letter}{maxactive or ''}", _kernel_place(site), arch, bound.returns)
    if isinstance(site, SyscallSites):
        if not site.wrapper:
            raise NoFormError("this kernel shows no function for the system call")
        return Place(letter, site.wrapper, arch, bound.returns, is_syscall=True)
    if isinstance(site, UserSite):
        return _user_place(site, letter, arch, bound)
    if isinstance(site, UserSites):
        raise NoFormError(f"{len(site.offsets)} functions take an event each there")
    return _tracepoint_place(site, arch, target)


def _kernel_place(site: KernelSite) -> str:
    if site.address or not site.function:
        return f"{site.address:#x}"
    module = f"{site.module}:" if site.module else ""
    offset = f"+{site.offset}" if site.offset else ""
    return f"{module}{site.function}{offset}"


def _user_place(site: UserSite, letter: str, arch: Arch, bound: Bound) -> Place:
    if any(char.isspace() or char == "#" for char in site.path):
        raise NoFormError("a line of ftrace ends its words at white space, and itself at #")
    reference = f"({site.ref_ctr_offset:#x})" if site.ref_ctr_offset else ""
    differs = (
        (f"it is seen in every process, not in {site.pid} alone",) if site.pid is not None else ()
    )
    where = f"{site.path}:{site.offset:#x}{reference}"
    return Place(letter, where, arch, bound.returns, is_user=True, differs=differs)


def _tracepoint_place(site: TracepointSite, arch: Arch, target: Target) -> Place:
    tracepoint = target.tracepoint(site.category, site.name)
    fields = {f.offset: f.name for f in tracepoint.fields} if tracepoint else {}
    needs = ("event probes, Linux 5.15",)
    return Place("e", f"{site.category}/{site.name}", arch, fields=fields, needs=needs)
