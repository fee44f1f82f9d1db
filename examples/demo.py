"""See programs start: execsnoop.py for a few seconds, over programs that this starts itself.

On this kernel where it has kprobes and we are root, else in a guest of the lab. Ends with status 0
only if rows of the programs started here were seen.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from bpfprobe.target.live import LiveTarget

EXECSNOOP = Path(__file__).with_name("execsnoop.py")
SECONDS = 4
GUEST_SECONDS = 15  # its processors are emulated
TIMEOUT_S = 120
PROGRAMS = 12
MARKED = re.compile(r"bpfprobe-demo-\d+")


def main() -> int:
    kprobes = LiveTarget().facts().kprobes
    if "--here" in sys.argv[1:] or (kprobes.present and os.geteuid() == 0):
        return watch()
    reason = "only root may attach" if kprobes.present else f"it has no kprobes: {kprobes.evidence}"
    print(f"demo: not on this kernel, {os.uname().release} ({reason})")
    print(
        "demo: so in a guest of the lab, which takes some minutes to set up the first time",
        flush=True,
    )
    command = [sys.executable, "-m", "bpfprobe", "lab", "--timeout", str(TIMEOUT_S), "--"]
    return subprocess.run([*command, sys.executable, __file__, "--here"], check=False).returncode


def watch() -> int:
    """Show what execsnoop prints, and count the rows of our own programs."""
    seconds = GUEST_SECONDS if "BPFPROBE_IN_GUEST" in os.environ else SECONDS
    print(f"demo: {EXECSNOOP.name} on Linux {os.uname().release} for {seconds} s", flush=True)
    command = [sys.executable, str(EXECSNOOP), "--duration", str(seconds)]
    seen: set[str] = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as snoop:
        threading.Thread(
            target=start_programs, args=(snoop, seconds / PROGRAMS), daemon=True
        ).start()
        timer = threading.Timer(TIMEOUT_S, snoop.kill)
        timer.start()
        assert snoop.stdout is not None
        for line in snoop.stdout:
            print(line, end="", flush=True)
            seen.update(MARKED.findall(line))
        status = snoop.wait()
        timer.cancel()
    if status:
        print(f"demo: {EXECSNOOP.name} ended with status {status}", file=sys.stderr)
    elif not seen:
        print("demo: none of the programs that were started was seen", file=sys.stderr)
    else:
        print(f"demo: {len(seen)} starts of programs that it made itself were seen")
    return status or int(not seen)


def start_programs(snoop: subprocess.Popen[str], pause_s: float) -> None:
    """Start a program every now and then, until nobody watches any more."""
    number = 0
    while snoop.poll() is None:
        number += 1
        program = ("echo", "printf", "true")[number % 3]
        subprocess.run([program, f"bpfprobe-demo-{number}"], stdout=subprocess.DEVNULL, check=False)
        time.sleep(pause_s)


if __name__ == "__main__":
    sys.exit(main())
