"""The smallest tracer: every file that is opened, as it happens."""

import bpfprobe as bp

opened = bp.kretprobe(
    "do_sys_openat2", path="filename:ustring", flags="how->flags:x64", fd="$retval:s32"
)

with bp.Session(opened) as session:
    for event in session:
        print(event.time, event.pid, event.comm, event.path, event.fd)
