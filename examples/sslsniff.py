"""Show what programs send and receive through OpenSSL: flags and columns of bcc's sslsniff 0.26.

Data is bytes, and what was cut is marked. Not there: GnuTLS, NSS (-o, -g, -n), --handshake, -d;
--extra-lib takes openssl:PATH. With SSL_read_ex and SSL_write_ex, which that one does not see.
"""

from __future__ import annotations

import argparse
import sys
import textwrap

import bpfprobe as bp

DATA, END = "----- DATA -----", "----- END DATA -----"
CALLS = {  # what to call it, and how many bytes it was
    "SSL_read": ("READ/RECV", "(s32)$retval"),
    "SSL_write": ("WRITE/SEND", "(s32)$retval"),
    "SSL_read_ex": ("READ/RECV", "+0($arg4)"),
    "SSL_write_ex": ("WRITE/SEND", "+0($arg4)"),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Sniff SSL data")
    add = parser.add_argument
    add("-p", "--pid", type=int, help="this process only")
    add("-u", "--uid", metavar="USER", help="this user only, by name or number")
    add("-x", "--extra", action="store_true", help="show user and thread")
    add("-c", "--comm", help="only commands of this name")
    add("-l", "--latency", action="store_true", help="show how long a call took")
    add("--hexdump", action="store_true", help="data as hexadecimal numbers")
    add("--max-buffer-size", type=int, default=8192, metavar="N", help="at most N bytes of a call")
    add("--extra-lib", action="append", default=[], metavar="openssl:PATH", help="this one too")
    return parser.parse_args()


def probe(name: str, library: str, args: argparse.Namespace) -> bp.Probe:
    length = CALLS[name][1]
    values = {"data": f"$arg2:bytes[{length}]", "len": length, "took": "duration", "uid": "uid"}
    more = {"pid": args.pid, "string_bytes": args.max_buffer_size}
    return bp.uretprobe(library, name, filter="(s32)$retval > 0", captures=values, **more)


def rows(event: bp.Event, args: argparse.Namespace, start_ns: int) -> str:
    line = f"{CALLS[event.probe][0]:<12} {(event.time - start_ns) / 1e9:<18.9f} "
    line += f"{bp.escape(event.comm):<16} {event.pid:<7d} {event.len:<6d}"
    line += f" {event.uid:<7d} {event.tid:<7d}" * args.extra
    line += f" {event.took / 1e6:<7.3f}" * args.latency
    if event.data is None:
        return f"{line}\n{DATA}\n(fault)\n{END}\n"
    lost = event.len - len(event.data)
    end = f"----- END DATA (TRUNCATED, {lost} bytes lost) -----" if lost else END
    shown = textwrap.fill(event.data.hex(), 32)
    if not args.hexdump:
        text = event.data.decode("utf-8", "surrogateescape")
        shown = "\n".join(map(bp.escape, text.split("\n")))
    return f"{line}\n{DATA}\n{shown}\n{end}\n"


def main() -> None:
    args, start_ns = arguments(), 0
    libraries = ["ssl", *(path.removeprefix("openssl:") for path in args.extra_lib)]
    probes = [probe(name, library, args) for library in libraries for name in CALLS]
    session = bp.Session(*probes, uid=bp.user_id(args.uid), ordered=True)
    with session, session.until_interrupted():
        more = f" {'UID':<7} {'TID':<7}" * args.extra + f" {'LAT(ms)':<7}" * args.latency
        print(f"{'FUNC':<12} {'TIME(s)':<18} {'COMM':<16} {'PID':<7} {'LEN':<7}{more}", flush=True)
        session.on_idle(sys.stdout.flush)
        for event in session:
            start_ns = start_ns or event.time
            if args.comm in (None, event.comm):
                print(rows(event, args, start_ns))
    if not session.statistics().complete:
        print(f"sslsniff: {session.statistics()}", file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
