"""What passes through OpenSSL (with --extra-lib GnuTLS, NSS), as bcc's sslsniff 0.26 shows it."""

import argparse
import sys
import textwrap

import bpfprobe as bp

CALLS = {"openssl": "SSL_read SSL_write SSL_read_ex SSL_write_ex SSL_do_handshake"}
CALLS["gnutls"] = "gnutls_record_recv gnutls_record_send"
CALLS["nss"] = "PR_Read PR_Write PR_Recv PR_Send"
FUNCS = ("READ/RECV", "WRITE/SEND", "READ/RECV", "WRITE/SEND", "HANDSHAKE")
FUNC = {n: f for calls in CALLS.values() for n, f in zip(calls.split(), FUNCS, strict=False)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Sniff SSL data")
    add, yes = parser.add_argument, "store_true"
    add("-p", "--pid", type=int, help="this process only")
    add("-u", "--uid", metavar="USER", help="this user only, by name or number")
    add("-x", "--extra", action=yes, help="show user and thread")
    add("-c", "--comm", help="only commands of this name")
    add("-o", "--no-openssl", action=yes, help="only what --extra-lib names")
    add("-g", "--no-gnutls", "-n", "--no-nss", action=yes, help="as it is without --extra-lib")
    add("-l", "--latency", action=yes, help="show how long a call took")
    add("--handshake", action=yes, help="with -l: handshakes of OpenSSL too")
    add("--hexdump", action=yes, help="data as hexadecimal numbers")
    add("--max-buffer-size", type=int, default=8192, metavar="N", help="at most N bytes of a call")
    add("--extra-lib", nargs="+", action="extend", default=[], metavar="openssl:PATH", help="too")
    return parser.parse_args()


def probes(library: str, args: argparse.Namespace) -> list[bp.Probe]:
    kind, _, path = library.partition(":")
    if kind not in CALLS:
        raise bp.UsageError(f"{library} is not KIND:PATH", hint=f"KIND is one of {' '.join(CALLS)}")
    made, more = [], {"pid": args.pid, "string_bytes": args.max_buffer_size}
    for name in CALLS[kind].split()[: None if args.latency and args.handshake else 4]:
        length = "+0($arg4)" if name.endswith("_ex") else "(s32)$retval"
        data = "\\0" if name.endswith("handshake") else f"$arg2:bytes[{length}]"
        values = {"data": data, "len": length, "took": "duration", "uid": "uid"}
        made.append(bp.uretprobe(path, name, filter="(s32)$retval > 0", captures=values, **more))
    return made


def rows(event: bp.Event, args: argparse.Namespace, start_ns: int) -> str:
    line = f"{FUNC[event.probe]:<12} {(event.time - start_ns) / 1e9:<18.9f} "
    line += f"{bp.escape(event.comm):<16} {event.pid:<7d} {event.len:<6d}"
    line += f" {event.uid:<7d} {event.tid:<7d}" * args.extra
    line += f" {event.took / 1e6:<7.3f}" * args.latency
    if event.data == 0:  # a handshake
        return str(line)
    data = event.data or b"(fault)"
    text = "\n".join(map(bp.escape, data.decode("utf-8", "surrogateescape").split("\n")))
    shown = textwrap.fill(data.hex(), 32) if args.hexdump and event.data else text
    lost = event.len - len(event.data or b"")
    mark = f" (TRUNCATED, {lost} bytes lost)" if lost else ""
    return f"{line}\n----- DATA -----\n{shown}\n----- END DATA{mark} -----\n"


def main() -> None:
    args, start_ns = arguments(), 0
    libraries = ["openssl:ssl"] * (not args.no_openssl) + args.extra_lib
    made = (probe for library in libraries for probe in probes(library, args))
    session = bp.Session(*made, uid=bp.user_id(args.uid), ordered=True)
    with session, session.until_interrupted():
        more = f" {'UID':<7} {'TID':<7}" * args.extra + f" {'LAT(ms)':<7}" * args.latency
        print(f"{'FUNC':<12} {'TIME(s)':<18} {'COMM':<16} {'PID':<7} {'LEN':<7}{more}", flush=True)
        for event in session:
            start_ns = start_ns or event.time
            if args.comm in (None, event.comm):
                print(rows(event, args, start_ns), flush=True)
    print(session.statistics(), file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
