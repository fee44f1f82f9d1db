"""The smallest tracer: every file that cat opens, as it happens."""

import bpfprobe as bp

opened = bp.kretprobe(
    "do_sys_openat2", path="filename:ustring", fd="$retval:s32", filter='comm == "cat"'
)


def main() -> None:
    with bp.Session(opened) as session, session.until_interrupted():
        for event in session:
            print(event.pid, event.comm, event.path, event.fd)


bp.run_tool(main)  # an error is a line, not a traceback
