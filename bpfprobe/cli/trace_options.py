"""The options of ``bpfprobe trace``, and its help."""

from __future__ import annotations

import argparse

from bpfprobe.model.options import MAX_PLACES

EPILOG = """\
FILE.bpfo in the place of SPECs is what bpfprobe build made: nothing is compiled. Its programs run
in the kernel, and read what root reads: run it where you would run a program of its owner's.

SPEC is written in one of three dialects, which its first word tells apart:
  KIND:PLACE [NAME=]VALUE[:TYPE] ... [if FILTER]     ours; KIND is kprobe kretprobe uprobe
                                                     uretprobe usdt tracepoint syscall
  p[:EVENT] PLACE ...    r[:EVENT] PLACE ...         the kernel's, and kprobe(8)'s: p:FUNCTION alone
                                                     names both; a second word may be the filter
  [p|r|t|u:[LIBRARY]:]FUNCTION[(SIGNATURE)] [(PREDICATE)] ["FORMAT"[, VALUE...]]
                                                     trace(8)'s: vfs_read, c:malloc, r::vfs_read
--dialect decides where a SPEC could be read in more than one way.

values are names of arguments, members (file->f_path.dentry->d_name.name), $arg1, $retval, %REG,
+8(%REG), and pid tid uid gid comm cpu time ppid cgroup func argv retval duration kstack ustack.
types are u8..u64 s8..s64 x8..x64 char bool string ustring symbol symstr %pd %pD b4@2/8, and [N].

letters that depend on the dialect of the SPECs; the long options never do:
  letter  ours, the kernel's, kprobe(8)'s   trace(8)'s
  -t      --tid TID                         --timestamp
  -u      --uid USER                        --unix-timestamp
  -c      --command CMD                     --cgroup-path PATH
  -v      --format                          --verbose
  -s      --kernel-stack                    --sym_file_list FILES

What the tracer itself does is left out; -S includes it. A summary of what was seen and lost goes to
stderr at the end.

examples:
  bpfprobe trace 'kprobe:vfs_read count name=file->f_path.dentry->d_name.name if count > 4096'
  bpfprobe trace 'syscall:execve argv retval' --json
  bpfprobe trace -p 1234 'uretprobe:/bin/bash:readline line=$retval:string'
  bpfprobe trace --follow -p 1234 'uprobe:/opt/app/plugin.so:handle n=$arg1:s64'
  bpfprobe trace -c 'ls /tmp' 'tracepoint:sched:sched_switch next_comm'
  bpfprobe trace --style ftrace 'p:opened do_sys_openat2 filename=+0(%si):ustring'
  bpfprobe trace -s -d 5 'r:do_sys_openat2 $retval' '$retval < 0'
  bpfprobe trace 'do_sys_openat2 "%s", arg2@user' -T
  bpfprobe trace -K -U -M 10 'p:c:write (arg1 == 1) "%d bytes to stdout", arg3'
  bpfprobe trace 't:sched:sched_process_exec "%d", args->pid' 'r:bash:readline "%s", retval'
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command line, in long options for the letters that depend on the dialect."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("specs", metavar="SPEC", nargs="*", help="what to probe, see below")
    parser.add_argument(
        "--file", metavar="FILE", action="append", default=[], help="a file with one SPEC per line"
    )
    _add_who(parser.add_argument_group("which hits"))
    _add_how_long(parser.add_argument_group("how long"))
    _add_what(parser.add_argument_group("what is taken"))
    _add_rows(parser.add_argument_group("what is printed"))
    rest = parser.add_argument_group("how")
    rest.add_argument("--dialect", choices=("auto", "bpfprobe", "kernel", "trace8"), default="auto")
    rest.add_argument("--transport", choices=("auto", "ring", "perf"), default="auto")
    rest.add_argument("--buffer-bytes", metavar="N", type=int, help="size of the buffer")
    rest.add_argument("-b", "--buffer-pages", metavar="N", type=int, help="the same in pages")
    rest.add_argument(
        "--follow",
        action="store_true",
        help="go to matching files that processes map later too, with -p to its children",
    )
    add_max_places(rest)
    rest.add_argument(
        "-F",
        "--force",
        action="store_true",
        help="try functions that ftrace does not list, the returns of Go programs, and places of "
        "programs that are not the beginning of an instruction",
    )
    rest.add_argument(
        "--trust-object",
        action="store_true",
        help="run FILE.bpfo as root though another user owns it, or can write to it",
    )
    rest.add_argument(
        "-I",
        "--include",
        metavar="HEADER",
        action="append",
        help="accepted and ignored: types are the kernel's own (BTF)",
    )
    # Refused where it is carried out, with the reason.
    rest.add_argument("--sym_file_list", metavar="FILES", help=argparse.SUPPRESS)


def add_max_places(parser: argparse._ActionsContainer) -> None:
    """How many places a probe may go to."""
    parser.add_argument(
        "--max-places",
        metavar="N",
        type=int,
        default=MAX_PLACES,
        help=f"refuse a probe that has more than N places ({MAX_PLACES})",
    )


def _add_who(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-p", "--pid", type=int, help="this process only, with all its threads")
    group.add_argument("-L", "--tid", type=int, help="this thread only (also -t)")
    group.add_argument("--uid", metavar="USER", help="this user only, by name or number (-u)")
    group.add_argument("-n", "--name", metavar="TEXT", help="threads with this in their names")
    group.add_argument(
        "--cgroup-path", metavar="PATH", help="processes in this cgroup (v2) or below (-c)"
    )
    group.add_argument(
        "--command", metavar="CMD", help="run CMD, and trace it from its exec until it ends (-c)"
    )
    group.add_argument("-S", "--include-self", action="store_true", help="the tracer itself too")


def _add_how_long(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-d", "--duration", metavar="S", type=float, help="end after S seconds")
    group.add_argument("-M", "--max-events", metavar="N", type=int, help="end after N events")


def _add_what(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-K", "--kernel-stack", action="store_true", help="the kernel's stack of each event (-s)"
    )
    group.add_argument(
        "-U", "--user-stack", action="store_true", help="the program's stack of each event"
    )
    group.add_argument(
        "-Z", "--string-size", metavar="N", type=int, help="at most N bytes of a string"
    )
    group.add_argument(
        "-B", "--bin_cmp", action="store_true", help='STRCMP takes bytes, "{0x6C, 0x00}"'
    )


def _add_rows(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--style", choices=("table", "ftrace"), help="columns, or the lines of ftrace"
    )
    group.add_argument(
        "-H", "--headers", action="store_true", help="ftrace's header (and its style)"
    )
    group.add_argument("--json", action="store_true", help="one JSON object per line")
    group.add_argument("-T", "--time", action="store_true", help="a column with the time of day")
    group.add_argument(
        "--timestamp", action="store_true", help="a column with seconds since the start (-t)"
    )
    group.add_argument(
        "--unix-timestamp", action="store_true", help="with --timestamp: UNIX time (-u)"
    )
    group.add_argument("-C", "--print_cpu", action="store_true", help="a column with the CPU")
    group.add_argument("-a", "--address", action="store_true", help="addresses in stacks")
    group.add_argument(
        "-f",
        "--msg-filter",
        metavar="TEXT",
        help="only rows with this in their message, or else in their values as NAME=VALUE",
    )
    group.add_argument(
        "-A", "--aggregate", action="store_true", help="count rows that are alike; needs -M"
    )
    group.add_argument(
        "--format", action="store_true", help="show the event's fields, and end (-v)"
    )
    group.add_argument("--verbose", action="store_true", help="show the C first (-v)")
    group.add_argument("--ebpf", action="store_true", help="show the C, and end")
