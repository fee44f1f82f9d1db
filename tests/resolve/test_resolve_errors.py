from __future__ import annotations

from dataclasses import replace

import pytest

import bpfprobe as bp
from bpfprobe.model.bound import SyscallSites
from bpfprobe.model.machine import BinarySymbol, FileOffset, VirtualAddress
from bpfprobe.model.site import KernelSite, Site, TracepointSite, UserSite
from bpfprobe.pipeline import describe
from bpfprobe.testing import StaticTarget
from tests.sample_machine import FACTS, NO, bound, complaint, machine, place


@pytest.mark.parametrize(
    ("probe", "site"),
    [
        ("p vfs_read", KernelSite("vfs_read")),
        ("p vfs_read+8", KernelSite("vfs_read", 8)),
        ("r vfs_read", KernelSite("vfs_read", returns=True)),
        ("p nf_ct_delete", KernelSite("nf_ct_delete", module="nf_conntrack")),
        ("p nf_conntrack:nf_ct_delete", KernelSite("nf_ct_delete", module="nf_conntrack")),
        ("p renamed.isra.0", KernelSite("renamed.isra.0")),
        ("p 0xffff", KernelSite("", address=0xFFFF)),
        ("p no_trace_here+4", KernelSite("no_trace_here", 4)),
        ("uprobe:bash:readline", UserSite("/bin/bash", FileOffset(0x1100), symbol="readline")),
        ("uprobe:bash:readline+8",
         UserSite("/bin/bash", FileOffset(0x1108), symbol="readline+0x8")),
        ("uprobe:c:free", UserSite("/usr/lib/libc.so.6", FileOffset(0x1140), symbol="free")),
        ("p /bin/bash:0x1234", UserSite("/bin/bash", FileOffset(0x1234))),
        (bp.uprobe("/bin/bash", address=0x401234), UserSite("/bin/bash", FileOffset(0x1234))),
        (bp.uprobe("/bin/bash", "main", pid=42),
         UserSite("/bin/bash", FileOffset(0x1140), pid=42, symbol="main")),
        ("uretprobe:bash:main", UserSite("/bin/bash", FileOffset(0x1140), True, symbol="main")),
        ("tracepoint:sched:sched_switch", TracepointSite("sched", "sched_switch", 302)),
    ],
)  # fmt: skip
def test_sites(probe: str | bp.Probe, site: Site) -> None:
    assert bound(probe).site == site


def test_both_ways_to_a_system_call_are_kept_for_the_plan() -> None:
    sites = bound("syscall:openat").site
    assert isinstance(sites, SyscallSites)
    assert sites.wrapper == "__x64_sys_openat"
    assert sites.enter is not None
    assert sites.exit is not None


PLACES = [
    ("p vfs_raed", "BAD_PROBE_ADDR", "vfs_raed", "vfs_read"),
    ("p qqqqqqqq", "BAD_PROBE_ADDR", "qqqqqqqq", "bpfprobe list"),
    ("p renamed", "BAD_PROBE_ADDR", "renamed", "renamed.isra.0"),
    ("p jiffies_data", "BAD_PROBE_ADDR", "jiffies_data", "@jiffies_data"),
    ("p ext4:vfs_read", "BAD_PROBE_ADDR", "ext4:vfs_read", "the kernel itself"),
    ("p ext4:jiffies_data", "BAD_PROBE_ADDR", "ext4:jiffies_data", "@jiffies_data"),
    ("p notify_die", "FAIL_REG_PROBE", "notify_die", "a function that it calls"),
    ("p no_trace_here", "FAIL_REG_PROBE", "no_trace_here", "bpfprobe list"),
    ("p name_show", "NON_UNIQ_SYMBOL", "name_show", "MODULE:FUNCTION"),
    ("uprobe:bash:raedline", "BAD_PROBE_ADDR", "bash:raedline", "readline"),
    ("uprobe:bash:qqqqqqqq", "BAD_PROBE_ADDR", "bash:qqqqqqqq", "bpfprobe list"),
    ("uprobe:bash:readline+64", "BAD_UPROBE_OFFS", "bash:readline+64", "from its start"),
    ("uprobe:/bin/bash:0x10", "BAD_UPROBE_OFFS", "/bin/bash:0x10", "0x1000 to 0x101000"),
    ("uprobe:/no/file:main", "FILE_NOT_FOUND", "/no/file:main", ""),
    ("uprobe:/bin/broken:main", "NOT_ELF", "/bin/broken:main", ""),
    ("uretprobe:/opt/gopher:main.main", "GO_RETURN", "/opt/gopher:main.main", "probe the entry"),
    ("tracepoint:sched:sched_swich", "NO_TRACEPOINT", "sched:sched_swich", "bpfprobe list"),
    ("tracepoint:sched:switch", "NO_TRACEPOINT", "sched:switch", "sched:sched_switch"),
    ("tracepoint:lab:sched_switch", "NO_TRACEPOINT", "lab:sched_switch", "sched:sched_switch"),
    ("syscall:opnat", "BAD_PROBE_ADDR", "opnat", "openat"),
    ("syscall:qqqqqqqq", "BAD_PROBE_ADDR", "qqqqqqqq", "bpfprobe list"),
]


@pytest.mark.parametrize(("text", "code", "where", "way_out"), PLACES)
def test_places_that_are_not_there(text: str, code: str, where: str, way_out: str) -> None:
    data = replace(machine().symbols("untyped")[0], name="jiffies_data", kind="D")
    wrong = complaint(text, machine(symbols=[data]))
    assert (wrong.code, place(wrong)) == (code, where)
    assert way_out in (wrong.hint or "")


def test_returns_of_a_go_program_can_be_forced() -> None:
    place = ("/opt/gopher", "main.main")
    assert complaint(bp.uretprobe(*place)).code == "GO_RETURN"
    forced = bp.Probe(replace(bp.uprobe("/x", "f").description, force=True))
    assert forced.spec.point.force
    for probe in (
        bp.uretprobe(*place, force=True),
        bp.Probe(replace(bp.probe("r /opt/gopher:main.main").description, force=True)),
    ):
        assert describe([probe], machine()).bound.probes[0].returns


def test_two_functions_of_a_file_by_one_name() -> None:
    twice = [
        BinarySymbol("twice", VirtualAddress(0x401000 + at), FileOffset(0x1000 + at), 16)
        for at in (0x100, 0x200)
    ]
    target = machine(binaries={"/bin/x": twice})
    wrong = complaint("uprobe:/bin/x:twice", target)
    assert wrong.code == "NON_UNIQ_SYMBOL"
    assert "0x1100, 0x1200" in (wrong.hint or "")


def test_an_address_outside_of_the_code_and_a_process_that_does_not_run_it() -> None:
    assert complaint(bp.uprobe("/bin/bash", address=0x10)).code == "BAD_PROBE_ADDR"
    assert complaint(bp.uprobe("c", "free", pid=42)).code == "PID_NOT_MAPPED"
    assert complaint(bp.uprobe("c", "free", pid=43)).code == "NO_PROCESS"


def test_lists_that_cannot_be_read_forbid_nothing() -> None:
    target = machine(blacklisted=None, untraceable=None)
    assert bound("p notify_die", target).site == KernelSite("notify_die")
    assert bound("p no_trace_here", target).site == KernelSite("no_trace_here")


def test_without_tracefs_the_message_says_how_to_get_it() -> None:
    target = machine(replace(FACTS, tracefs=NO), tracepoints={})
    wrong = complaint("tracepoint:sched:sched_switch", target)
    assert "mount -t tracefs" in (wrong.hint or "")
    # a system call can still be reached, its arguments only by number
    assert bound("syscall:openat $arg2:ustring", target)
    assert complaint("syscall:openat filename", target).code == "NO_BTFARG"
    assert complaint("syscall:openat $arg7", target).code == "BAD_ARG_NUM"


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("p vfs_read hoge", "NO_BTFARG", "hoge"),
        ("p untyped hoge", "NO_BTFARG", "hoge"),
        ("p vfs_read $arg5", "NO_BTFARG", "$arg5"),
        ("p vfs_read $arg10000", "NO_BTFARG", "$arg10000"),
        ("p vfs_read $arg0", "BAD_ARG_NUM", "$arg0"),
        ("p untyped $arg2049", "BAD_ARG_NUM", "$arg2049"),
        ("p vfs_read+8 $arg1", "NOFENTRY_ARGS", "$arg1"),
        ("p vfs_read+8 file", "NOSUP_BTFARG", "file"),
        ("p vfs_read $none_var", "BAD_VAR", "$none_var"),
        ("p vfs_read $stackp", "BAD_VAR", "$stackp"),
        ("p vfs_read $stack10000", "BAD_STACK_NUM", "$stack10000"),
        ("p vfs_read %none_reg", "BAD_REG_NAME", "%none_reg"),
        ("p vfs_read $retval", "RETVAL_ON_PROBE", "$retval"),
        ("p vfs_read duration", "RETVAL_ON_PROBE", "duration"),
        ("r wake $retval", "NO_RETVAL", "$retval"),
        ("r vfs_read entry(retval)", "RETVAL_ON_PROBE", "retval"),
        ("p vfs_read @nothing", "BAD_MEM_ADDR", "@nothing"),
        ("p vfs_read +0($comm)", "COMM_CANT_DEREF", "$comm"),
        ('p vfs_read +0("x")', "COMM_CANT_DEREF", '"x"'),
        ("p vfs_read +0(argv)", "COMM_CANT_DEREF", "argv"),
        ("p vfs_read +0(file->f_path)", "BAD_TYPE", "file->f_path"),
        ("p vfs_read file->foo", "NO_BTF_FIELD", "foo"),
        ("p vfs_read file->f_inod", "NO_BTF_FIELD", "f_inod"),
        ("p vfs_read count->x", "NO_PTR_STRCT", "x"),
        ("p vfs_read pos->x", "NO_PTR_STRCT", "x"),
        ("p untyped $arg1->x", "NO_PTR_STRCT", "x"),
        ("p vfs_read file.f_inode", "NOSUP_DAT_ARG", "f_inode"),
        ("p vfs_read file->f_path->dentry", "NO_PTR_STRCT", "dentry"),
        ("p vfs_read file->f_path", "BAD_TYPE", "file->f_path"),
        ("p vfs_read file->marks", "BAD_TYPE", "file->marks"),
        ("p vfs_read file->marks[80]", "BAD_ARRAY_NUM", "file->marks[80]"),
        ("p vfs_read count[1]", "BAD_TYPE", "count"),
        ("p nf_ct_delete ct[1]", "BAD_TYPE", "ct"),
        ("p vfs_read *count", "NO_PTR_STRCT", "count"),
        ("p vfs_read ((struct fiel *)$arg1)->x", "BAD_TYPE", "struct fiel *"),
        ("p vfs_read (struct file)count", "BAD_TYPE", "struct file"),
        ("p vfs_read (quux)count->x", "NO_PTR_STRCT", "quux"),
        ("p vfs_read (u32)comm", "BAD_TYPE", "comm"),
        ("p vfs_read f(count)", "BAD_FETCH_ARG", "f"),
        ("p vfs_read entry(count,pos)", "BAD_FETCH_ARG", "entry(count,pos)"),
        ("p vfs_read x=comm+1", "BAD_TYPE", "comm"),
        ("p do_sys_openat2 x=dfd/2", "BAD_OPERATOR", "dfd"),
        ("p do_sys_openat2 x=(dfd+1)/2", "BAD_OPERATOR", "(dfd+1)"),
        ("p vfs_read count:unknown", "BAD_TYPE", "unknown"),
        ("p vfs_read count:", "BAD_TYPE", ""),
        ("p vfs_read count:b10@a/16", "BAD_BITFIELD", "b10@a/16"),
        ("p vfs_read count:b10@2/24", "BAD_TYPE", "b10@2/24"),
        ("p vfs_read count:8", "BAD_TYPE", "8"),
        ("p vfs_read count:string", "BAD_TYPE4STR", "count"),
        ("p vfs_read file:string", "BAD_TYPE4STR", "file"),
        ("p vfs_read file->f_path:string", "BAD_TYPE4STR", "file->f_path"),
        ("p vfs_read $stack0:string", "BAD_STRING", "string"),
        ("p vfs_read %ax:string", "BAD_STRING", "string"),
        ("p vfs_read buf:string[2]", "BAD_STRING", "string[2]"),
        ("p vfs_read $stack1:x8[8]", "BAD_STRING", "x8[8]"),
        ("p vfs_read $comm:x64", "NEED_STRING_TYPE", "x64"),
        ("uprobe:bash:main @sym", "SYM_ON_UPROBE", "@sym"),
        ("uprobe:bash:main+4 $arg1", "NOFENTRY_ARGS", "$arg1"),
        ("uprobe:bash:main argc", "NOSUP_BTFARG", "argc"),
        ("tracepoint:sched:sched_switch prev_pod", "NO_BTFARG", "prev_pod"),
        ("tracepoint:sched:sched_switch %ax", "BAD_VAR", "%ax"),
        ("tracepoint:sched:sched_switch $stack1", "BAD_VAR", "$stack1"),
        ("tracepoint:sched:sched_switch $arg1", "NOFENTRY_ARGS", "$arg1"),
        ("tracepoint:sched:sched_switch $retval", "RETVAL_ON_PROBE", "$retval"),
        ("tracepoint:lab:shapes numbers", "BAD_TYPE", "numbers"),
        ("syscall:openat $arg5", "NO_BTFARG", "$arg5"),
        ("syscall:openat %ax", "BAD_VAR", "%ax"),
    ],
)
def test_names_that_mean_nothing(text: str, code: str, where: str) -> None:
    wrong = complaint(text)
    assert (wrong.code, place(wrong)) == (code, where)
    assert wrong.hint, "what to do next is missing"


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("p vfs_read file->f_inod", "f_inode"),
        ("p vfs_read file->qqq", "it has f_path, f_inode, f_flags"),
        ("p vfs_read flie", "did you mean file?"),
        ("p vfs_read qqq", "its arguments are file, buf, count, pos"),
        ("p vfs_read file->f_path->mnt", "file->f_path.mnt"),
        ("p vfs_read file.f_inode", "file->f_inode"),
        ("p untyped $arg1->x", "((struct NAME *)$arg1)->x"),
        ("p vfs_read ((struct fiel *)$arg1)->x", "did you mean file"),
        ("p vfs_read file:string", "struct file, with ->"),
        ("p vfs_read pos:string", "+0(pos):string"),
        ("p vfs_read count:ustring", "+0(count):ustring"),
        ("p do_sys_openat2 x=dfd+1/dfd", "(u64)dfd"),
        ("p do_sys_openat2 x=(dfd+1)/2", "(u64)(dfd+1)"),
        ("r vfs_read entry($retval)", "leave out entry(...)"),
    ],
)
def test_the_way_out_fits_the_case(text: str, way_out: str) -> None:
    assert way_out in (complaint(text).hint or "")


def test_names_of_a_system_call_without_tracefs_say_where_they_are() -> None:
    target = StaticTarget(functions=["long __x64_sys_openat(const struct pt_regs *regs)"])
    with pytest.raises(bp.SpecError) as caught:
        describe([bp.syscall("openat", path="filename")], target)
    assert caught.value.code == "NO_BTFARG"
    assert "mount -t tracefs" in (caught.value.hint or "")
    assert describe([bp.syscall("openat", path="$arg2:ustring")], target)


@pytest.mark.parametrize("place", ["main", "0x1149", "mem*", "file.c:42"])
def test_a_file_that_is_not_there_is_one_error_however_it_is_named(place: str) -> None:
    assert complaint(f"uprobe:/opt/none:{place}").code == "FILE_NOT_FOUND"
