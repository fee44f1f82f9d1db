"""Why a probe could not be attached: an errno and a site, turned into a cause and a way out.

One errno means different things for different sites; where a cause cannot be told from another
the message names both, most likely first.
"""

from __future__ import annotations

import errno
import os

from bpfprobe.engine.privilege import explain_refusal
from bpfprobe.errors import AttachError, BpfprobeError
from bpfprobe.model.site import KernelSite, Site, TracepointSite, UserSite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.engine.privilege import Privileges

_ENOTSUPP = 524  # <linux/errno.h>; the C library does not know it

# errno -> (code, cause, hint). Read from kernel/kprobes.c, kernel/trace/trace_kprobe.c and
# arch/x86/kernel/kprobes/core.c.
_KERNEL = {
    errno.ENOENT: (
        "NO_FUNCTION",
        "the kernel has no such function, or not under this name",
        "it may be inlined, renamed, or carry a suffix (.isra.0); see /proc/kallsyms",
    ),
    errno.EINVAL: (
        "NOT_PROBEABLE",
        "the kernel allows no probe there: the function is marked notrace, nokprobe or __init, "
        "or lies in the kernel's entry code",
        "/sys/kernel/debug/kprobes/blacklist names what is forbidden; probe a caller instead",
    ),
    errno.EILSEQ: (
        "BAD_INSN_BNDRY",
        "no instruction starts at this offset",
        "objdump -d shows where instructions start",
    ),
    errno.EADDRNOTAVAIL: (
        "AMBIGUOUS",
        "several functions have this name, and this kernel refuses to choose",
        "name the module, or give the address of the one that is meant",
    ),
    errno.ERANGE: (
        "NOT_AN_INSTRUCTION",
        "the offset is past the end of the function",
        "give an offset inside the function",
    ),
    errno.EBUSY: (
        "BUSY",
        "something else holds this place: kernel text that is being patched, or a probe that "
        "cannot share it",
        "try again, or probe the entry of the function",
    ),
    errno.EOPNOTSUPP: (
        "NOT_SUPPORTED",
        "this kernel cannot probe that instruction",
        "probe the entry of the function, or another instruction",
    ),
    errno.ENODEV: (
        "KPROBES_OFF",
        "the module is gone, or kprobes cannot be armed (kernel.ftrace_enabled is 0)",
        "sysctl kernel.ftrace_enabled=1; modprobe the module",
    ),
}

_USER = {
    errno.ENOENT: ("NO_FILE", "there is no such file", "give the path as this process sees it"),
    errno.ENOTDIR: ("NO_FILE", "there is no such file", "give the path as this process sees it"),
    errno.EINVAL: (
        "NOT_PROBEABLE",
        "the kernel allows no probe there: the file is no regular one, the offset is past its end "
        "or not on an instruction, or another probe at this place has a different semaphore",
        "probe the start of a function of a regular ELF file",
    ),
    errno.ESRCH: ("NO_PROCESS", "there is no such process", "it may have ended: look with ps"),
    errno.EIO: (
        "NO_MEMORY_ACCESS",
        "the page to probe could not be read from the file",
        "the file may lie on a filesystem that cannot be mapped",
    ),
    errno.ENOEXEC: (
        "NOT_AN_INSTRUCTION",
        "the bytes at this offset are not an instruction of this machine",
        "look with objdump -d; the file may be of another architecture",
    ),
    errno.EOPNOTSUPP: (
        "NOT_SUPPORTED",
        "this kernel cannot probe that instruction (one with a LOCK prefix, say)",
        "probe the start of the function",
    ),
    _ENOTSUPP: (
        "NOT_SUPPORTED",
        "this kernel cannot probe that instruction: it has a LOCK or a segment prefix, or is a "
        "breakpoint, which a debugger may have put there",
        "probe the start of the function, or another instruction",
    ),
    errno.EBUSY: ("BUSY", "the file is being written to", "wait until nothing writes to it"),
    errno.ETXTBSY: ("BUSY", "the file is being written to", "wait until nothing writes to it"),
}

_TRACEPOINT = {
    errno.ENOENT: (
        "NO_TRACEPOINT",
        "the kernel has no tracepoint of this number",
        "its module may have gone since the number was read",
    ),
    errno.EINVAL: (
        "NOT_PROBEABLE",
        "this is not a tracepoint but a kprobe or uprobe event, which tracefs lists beside them, "
        "or the event has gone since its number was read",
        "bpfprobe list --defined shows its definition: give that in its place (p:NAME PLACE ...)",
    ),
    errno.ENODEV: (
        "NO_TRACEPOINT",
        "no program can be attached to it: it is a synthetic event, which ftrace makes of others",
        "probe the events that it is made of, or the function that they are in",
    ),
}

_ANY = {
    errno.EMFILE: (
        "TOO_MANY_FILES",
        "this process has as many open files as it may have: a probe takes two, and "
        "one of a return that keeps something from entry four",
        "a larger hard limit (ulimit -Hn), or fewer probes",
    ),
    errno.ENFILE: ("TOO_MANY_FILES", "the system has too many open files", "sysctl fs.file-max"),
    errno.ENOSPC: (
        "TOO_MANY_PROBES",
        "the kernel takes no more breakpoints or counters",
        "attach fewer probes at once",
    ),
    errno.E2BIG: (
        "TOO_MANY_PROGRAMS",
        "64 programs are attached to this event already (BPF_TRACE_MAX_PROGS)",
        "detach others, or join several probes of one place",
    ),
    errno.EEXIST: (
        "ALREADY_ATTACHED",
        "the program is attached to this event already",
        "attach it once",
    ),
    errno.ENOMEM: ("NO_MEMORY", "the kernel has no memory for it", "attach fewer probes at once"),
}


def explain(site: Site, error: OSError, privileges: Privileges) -> BpfprobeError:
    """An `AttachError` with a code of its own for each cause, or a `PrivilegeError`."""
    number = error.errno or 0
    if number in (errno.EACCES, errno.EPERM):
        return _refused(site, number, privileges)
    if isinstance(site, KernelSite):
        table = _KERNEL
    elif isinstance(site, UserSite):
        table = _USER
    else:
        table = _TRACEPOINT
    code, cause, hint = (
        _special(site, number)
        or table.get(number)
        or _ANY.get(number)
        or (
            "ATTACH",
            os.strerror(number),
            "the kernel log (dmesg) may say more",
        )
    )
    return AttachError(f"{site}: {cause}", site=str(site), errno=number, hint=hint, code=code)


def _special(site: Site, number: int) -> tuple[str, str, str] | None:
    """Causes that depend on more than the kind of the site."""
    if isinstance(site, KernelSite):
        if number == errno.ENOENT and site.module:
            return (
                "NO_FUNCTION",
                f"module {site.module} has no such function, or is not loaded",
                f"modprobe {site.module}",
            )
        if number == errno.EINVAL and site.module and not site.offset:
            return (
                "NOT_PROBEABLE",
                f"module {site.module} is being loaded or unloaded, or the kernel allows no probe "
                "there: the function is marked notrace, nokprobe or __init",
                f"try again; /sys/module/{site.module}/initstate says live once it is loaded",
            )
        if number == errno.EINVAL and site.returns and site.offset:
            return (
                "NOT_AN_ENTRY",
                "a return probe goes to the entry of a function, without an offset",
                "leave the offset out",
            )
        if number == errno.EINVAL and site.offset:
            return (
                "FAIL_REG_PROBE",
                "no instruction starts at this offset, or the kernel allows no probe there",
                "objdump -d shows where instructions start",
            )
    if isinstance(site, UserSite) and number == errno.EINVAL and site.ref_ctr_offset:
        return (
            "REF_CTR",
            "the semaphore is not where writable data is, or another probe of this place has a "
            "different one",
            "detach the other tracer of this marker",
        )
    return None


def _refused(site: Site, number: int, privileges: Privileges) -> BpfprobeError:
    file_refused = isinstance(site, UserSite) and number == errno.EACCES and privileges.may_load
    if file_refused and (privileges.paranoid or 0) <= 2:
        return AttachError(
            f"{site}: the file may not be read, or lies on a filesystem without exec",
            site=str(site),
            errno=number,
            hint="give the path of a file that this user may read",
            code="NO_FILE_ACCESS",
        )
    what = "trace" if isinstance(site, TracepointSite) else "attach"
    return explain_refusal(f"{what} {site}", privileges)
