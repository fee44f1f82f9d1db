"""``bpfprobe lab``: run a command as root in a distribution kernel under emulation."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from bpfprobe.errors import LabError
from bpfprobe.lab.errors import ConsoleError
from bpfprobe.model.options import MAX_SECONDS, check_seconds
from bpfprobe.output import report, report_error, show
from bpfprobe.signals import exit_on_sigterm, raise_interrupts

if TYPE_CHECKING:
    from bpfprobe.lab.lab import Lab

HELP = "run a command as root in a guest with a kernel of its own"
EPILOG = """\
The command finds this checkout and this Python environment at the paths they have here. What it
changes is gone when it ends. The guest is built at its first use from Debian packages and kept in
/var/cache/bpfprobe/lab (for root) or ~/.cache/bpfprobe/lab; BPFPROBE_CACHE moves it.

exit status: the command's own; 70 when the guest's kernel crashed or warned, 124 when time ran
out, 125 when there is no guest to be had, 130 after Ctrl-C.

examples:
  bpfprobe lab -- uname -r
  bpfprobe lab --kernel 5.10 -- bpfprobe trace 'p:open do_sys_openat2'
  bpfprobe lab --kernel newest --timeout 60 -- python3 examples/opensnoop.py -d 5
  bpfprobe lab --headers -- execsnoop-bpfcc
  bpfprobe lab --shell
  bpfprobe lab --list        (which release each kernel is)
"""
USAGE = 2
NO_GUEST = 125
INTERRUPTED = 130
SIGNAL_BASE = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("--kernel", metavar="VERSION", help="a series such as 6.1, or newest")
    parser.add_argument("--timeout", metavar="S", type=float, help="end the guest after S seconds")
    parser.add_argument("--headers", action="store_true", help="have the kernel's headers inside")
    parser.add_argument("-q", "--quiet", action="store_true", help="do not show the set-up's steps")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="show the kernels and what is built")
    action.add_argument("--shell", action="store_true", help="open a shell in the guest")
    action.add_argument("--build", action="store_true", help="only set up, with today's packages")
    parser.add_argument(
        "command", metavar="COMMAND", nargs=argparse.REMAINDER, help="what to run, after --"
    )


def run(args: argparse.Namespace) -> int:
    """Carry out the command line, and return the exit status."""
    from bpfprobe.lab.foreground import run_command, run_shell
    from bpfprobe.lab.lab import Lab
    from bpfprobe.lab.progress import Progress

    if args.timeout is not None:
        check_seconds("--timeout", args.timeout, 0, MAX_SECONDS)
    raise_interrupts()
    restore_sigterm = exit_on_sigterm()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    lab = Lab(
        kernel=args.kernel,
        headers=args.headers,
        progress=Progress(None if args.quiet else sys.stderr),
    )
    try:
        if args.list:
            return _list(lab)
        if args.build:
            return _build(lab)
        if not command and not args.shell:
            report("bpfprobe lab: give a command after --, or --shell")
            return USAGE
        with lab.restore() as guest:
            if args.shell:
                status = run_shell(guest, args.timeout)
            else:
                status = run_command(guest, command, args.timeout)
        return SIGNAL_BASE - status if status < 0 else status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SIGNAL_BASE + signal.SIGPIPE
    except ConsoleError as error:
        report_error("bpfprobe lab", error)
        return error.exit_status
    except LabError as error:
        report_error("bpfprobe lab", error)
        return NO_GUEST
    finally:
        restore_sigterm()


def _build(lab: Lab) -> int:
    """Set up with the newest packages, and show what came of it."""
    lab.installation.forget()
    lab.build()
    if lab.headers:
        lab.installation.headers(lab.build().recipe.release)
    return _list(lab)


def _list(lab: Lab) -> int:
    """Print a line for each kernel: what is wanted, what was taken, and what it takes on disk."""
    show(f"{'KERNEL':8} {'TESTED':8} {'RELEASE':34} {'BUILT':6} {'MIB':>6}")
    rows = lab.overview()
    for row in rows:
        built = "yes" if row.built else "no"
        size = f"{row.size >> 20}" if row.size else "-"
        wanted = row.wanted
        show(f"{wanted.name:8} {wanted.tested:8} {row.release or '-':34} {built:6} {size:>6}")
    for caveat in (row.wanted.caveat(row.release) for row in rows if row.release):
        if caveat:
            report(f"bpfprobe lab: {caveat}")
    return 0
