"""A uprobe with bpfprobe, attached and left alone: PROGRAM."""

import sys
import time

import bpfprobe as bp

began = time.monotonic_ns()
session = bp.Session(bp.uprobe(sys.argv[1], "work", n="$arg1:s32"))
session.open()
attached = time.monotonic_ns()
print(f'{{"describing_ns": {began}, "attached_ns": {attached}}}', flush=True)
sys.stdin.readline()
session.close()
