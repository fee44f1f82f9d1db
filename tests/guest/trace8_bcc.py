"""Runs trace-bpfcc with one mistake of bcc 0.26 repaired, without which it cannot probe programs.

bcc's Python calls bpf_attach_uprobe() with 6 of its 7 arguments. The kernel takes what lies on the
stack for the offset of a semaphore, and mostly refuses it (EINVAL).
"""

from __future__ import annotations

import ctypes
import runpy
import sys

from bcc.libbcc import lib

attach = lib.bpf_attach_uprobe
attach.argtypes = [*attach.argtypes, ctypes.c_uint32]
lib.bpf_attach_uprobe = lambda *arguments: attach(*arguments, 0)
sys.argv[0] = "/usr/sbin/trace-bpfcc"
runpy.run_path(sys.argv[0], run_name="__main__")
