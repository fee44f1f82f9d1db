"""``bpfprobe build``: compile probes into a file that runs where there is no compiler."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.cli.trace_options import add_max_places
from bpfprobe.model.description import (
    DEFAULT_STRING_BYTES,
    DEFINITION,
    MAX_STRING_BYTES,
    Description,
)
from bpfprobe.output import show

if TYPE_CHECKING:
    from bpfprobe.target import Target

HELP = "compile probes into a file, for this kernel or another; nothing is attached"
EPILOG = """\
`bpfprobe trace FILE` runs it: with libbpf, and without LLVM, BCC or headers. What it depends on is
looked up there again, and it is refused where the kernel's types differ, with what differs. The
file holds programs that are loaded into the kernel: take it from whom you would take a program.

for another kernel:
  --btf FILE      its /sys/kernel/btf/vmlinux, or a vmlinux: kernel functions and system calls
  --target FILE   a recording, for all kinds of places; on a machine that has them:
                  bpfprobe explain --record FILE SPEC...

examples:
  bpfprobe build 'kprobe:vfs_read count if count > 4096' -o reads.bpfo
  bpfprobe build --btf vmlinux-6.1 'syscall:openat filename retval' -o opens.bpfo
  bpfprobe build --target there.json.gz 'tracepoint:sched:sched_switch next_comm' -o switch.bpfo
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("specs", metavar="SPEC", nargs="+", help="see bpfprobe trace --help")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="what to write")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--btf", metavar="FILE", help="for the kernel that this is the BTF of")
    where.add_argument("--target", metavar="FILE", help="for a recorded machine")
    parser.add_argument("--arch", help="of --btf, as uname(1) says it; this machine's if left out")
    parser.add_argument("--transport", choices=("auto", "ring", "perf"), default="auto")
    parser.add_argument("--buffer-bytes", metavar="N", type=int, help="size of the buffer")
    add_max_places(parser)
    parser.add_argument("-Z", "--string-size", metavar="N", type=int, help="bytes of a string")


def run(args: argparse.Namespace) -> int:
    """Carry out the command line."""
    from bpfprobe.building import build_object
    from bpfprobe.model.options import Options, check_whole
    from bpfprobe.probes import Probe
    from bpfprobe.starting import live_engine
    from bpfprobe.store.object_file_codec import encode_object_file
    from bpfprobe.whole_file import write_whole

    string_bytes = DEFAULT_STRING_BYTES
    if args.string_size is not None:
        check_whole("-Z (--string-size)", args.string_size, 1, MAX_STRING_BYTES - 1)
        string_bytes = args.string_size + 1
    probes = [
        Probe(Description(DEFINITION, text, string_bytes=string_bytes)) for text in args.specs
    ]
    options = Options(
        transport=args.transport, buffer_bytes=args.buffer_bytes, max_places=args.max_places
    )
    made = build_object(probes, _target(args), live_engine(), options)
    data = encode_object_file(made)
    write_whole(args.output, data)
    show(f"{args.output}: {len(data)} bytes for {made.release}")
    return 0


def _target(args: argparse.Namespace) -> Target:
    if args.btf:
        from bpfprobe.target.btf_file import BtfFileTarget

        return BtfFileTarget(Path(args.btf), args.arch or "")
    from bpfprobe.cli.targets import target_of

    return target_of(args.target)
