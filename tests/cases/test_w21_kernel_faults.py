"""A kernel fault on a guest's console is an oops, a BUG or a WARNING, not any call trace."""

from __future__ import annotations

import pytest

from bpfprobe.lab.console import fault_in

TIME = "[   12.345678] "
TRACE = """\
CPU: 0 PID: 312 Comm: python3 Not tainted 6.1.0-57-cloud-amd64 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x45/0x5e
 </TASK>
"""
OOM = """\
{comm} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
{trace}memory: usage 16384kB, limit 16384kB, failcnt 31
Memory cgroup out of memory: Killed process 312 ({comm}) total-vm:30000kB, anon-rss:16000kB
"""


def stamped(text: str, prefix: str = TIME) -> bytes:
    return "".join(f"{prefix}{line}\r\n" for line in text.splitlines()).encode()


@pytest.mark.parametrize(
    "text",
    [
        "BUG: KASAN: slab-out-of-bounds in foo+0x1/0x2",
        "BUG: scheduling while atomic: sh/77/0x00000002",
        "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580",
        "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 43s!",
        "BUG: Bad page state in process sh  pfn:01234",
        "BUG kmalloc-64 (Not tainted): Right Redzone overwritten",
        "BUG kmalloc-64 (Tainted: G    B): Poison overwritten",
        "kernel BUG at mm/slub.c:379!",
        "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
        "general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP NOPTI",
        "Oops: Oops: 0002 [#1] SMP",
        "Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
        "Internal error: Oops: 0000000096000005 [#1] SMP",
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008",
        "WARNING: kernel/trace/ftrace.c:2084 at ftrace_bug+0x1/0x2, CPU#1: sh/77",
        "WARNING: possible circular locking dependency detected",
        "WARNING: suspicious RCU usage",
        "WARNING: stack recursion on stack type 4",
        "traps: PANIC: double fault, error_code: 0x0",
        "Kernel panic - not syncing: Fatal exception in interrupt",
        "UBSAN: array-index-out-of-bounds in drivers/a.c:7:1",
    ],
)
def test_a_fault(text: str) -> None:
    for prefix in (TIME, "[12345.678901] ", TIME[:-1] + "[  T312] "):
        line = f"{prefix}{text}"
        console = stamped("before") + stamped(text, prefix) + stamped(TRACE)
        assert fault_in(console) == line
    # A program that printed half a line before.
    assert fault_in(b"half" + stamped(text)) == f"{TIME}{text}"


@pytest.mark.parametrize(
    "text",
    [
        TRACE,
        OOM.format(comm="python3", trace=TRACE),
        OOM.format(comm="BUG: a", trace=TRACE),
        OOM.format(comm="WARNING: b", trace=TRACE),
        f"WARNING: page allocation failure: order:9, mode:0xcc0(GFP_KERNEL), nodemask=0\n{TRACE}",
        f"INFO: task sh:312 blocked for more than 120 seconds.\n{TRACE}",
        f"rcu: INFO: rcu_sched self-detected stall on CPU\n{TRACE}",
        f"rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n{TRACE}",
        "Oops[312]: segfault at 0 ip 0000000000401000 sp 00007ffc00000000 error 4 in Oops[401000]",
        "traps: BUG[312] general protection fault ip:401000 sp:7ffc0000 error:0 in BUG[401000]",
        "traps: WARNING[312] trap invalid opcode ip:401000 sp:7ffc0000 error:0 in a[401000]",
        "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible",
        "systemd[1]: BUG: something of its own",
        "sysrq: Show backtrace of all active CPUs\n" + TRACE,
    ],
)
def test_no_fault(text: str) -> None:
    assert fault_in(stamped(text)) is None


def test_what_a_program_prints_is_its_own() -> None:
    texts = b"BUG: a\nWARNING: b\nOops: 0002 [#1]\nKernel panic - not syncing: c\nCall Trace:\n"
    assert fault_in(texts) is None
