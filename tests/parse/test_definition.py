from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import KernelPoint, Point, SyscallPoint, TracepointPoint, UserPoint
from bpfprobe.parse.definition import parse_definition


@pytest.mark.parametrize(
    ("text", "name", "point"),
    [
        ("p vfs_read", "vfs_read", KernelPoint("vfs_read")),
        ("p:reads vfs_read", "reads", KernelPoint("vfs_read")),
        ("p:group/reads vfs_read", "reads", KernelPoint("vfs_read")),
        ("p:my-group/reads vfs_read", "reads", KernelPoint("vfs_read")),
        ("p:late vfs_read+0x12", "late", KernelPoint("vfs_read", 0x12)),
        ("p nf_conntrack:nf_ct", "nf_ct", KernelPoint("nf_ct", module="nf_conntrack")),
        ("p f.isra.0", "f_isra_0", KernelPoint("f.isra.0")),
        ("p 0xffffffff81", "at_0xffffffff81", KernelPoint("", address=0xFFFFFFFF81)),
        ("p vfs_read%return", "vfs_read", KernelPoint("vfs_read", returns=True)),
        ("r vfs_read", "vfs_read", KernelPoint("vfs_read", returns=True)),
        ("r7:got vfs_read", "got", KernelPoint("vfs_read", returns=True, maxactive=7)),
        ("p:group/ vfs_read", "vfs_read", KernelPoint("vfs_read")),
        ("p:group.reads vfs_read", "reads", KernelPoint("vfs_read")),
        ("f vfs_read", "vfs_read", KernelPoint("vfs_read", is_fprobe=True)),
        ("f vfs_read%return", "vfs_read", KernelPoint("vfs_read", returns=True, is_fprobe=True)),
        ("f a $retval", "a", KernelPoint("a", returns=True, is_fprobe=True)),
        ("e:x a/b", "x", TracepointPoint("a", "b", is_eprobe=True)),
        ("e a.b", "b", TracepointPoint("a", "b", is_eprobe=True)),
        ("p /x:0x10(0x20)", "x_0x10", UserPoint("/x", offset=16, ref_ctr_offset=32)),
        ("r:got vfs_read+0", "got", KernelPoint("vfs_read", returns=True)),
        ("  p:x   vfs_read  ", "x", KernelPoint("vfs_read")),
        ("p /bin/bash:0x1234", "bash_0x1234", UserPoint("/bin/bash", offset=0x1234)),
        ("r:line /bin/bash:readline", "line", UserPoint("/bin/bash", "readline", returns=True)),
        ("kprobe:vfs_read", "vfs_read", KernelPoint("vfs_read")),
        ("reads=kprobe:vfs_read+8", "reads", KernelPoint("vfs_read", 8)),
        ("kretprobe:nf:f", "f", KernelPoint("f", module="nf", returns=True)),
        ("uprobe:/bin/bash:readline", "readline", UserPoint("/bin/bash", "readline")),
        ("uprobe:bash:readline+4", "readline", UserPoint("bash", "readline", 4)),
        ("uprobe:/a/b:c/d:main", "main", UserPoint("/a/b:c/d", "main")),
        ("uprobe:/bin/x:0", "x_0x0", UserPoint("/bin/x", offset=0)),
        ("uprobe:/bin/x:0x10+0x4", "x_0x14", UserPoint("/bin/x", offset=0x14)),
        ("uretprobe:c:malloc", "malloc", UserPoint("c", "malloc", returns=True)),
        ("uprobe:c:malloc%return", "malloc", UserPoint("c", "malloc", returns=True)),
        ("tracepoint:sched:sched_switch", "sched_switch", TracepointPoint("sched", "sched_switch")),
        ("tracepoint:sched/sched_switch", "sched_switch", TracepointPoint("sched", "sched_switch")),
        ("syscall:openat", "openat", SyscallPoint("openat")),
        ("syscall:openat%return", "openat", SyscallPoint("openat", True)),
    ],
)  # fmt: skip
def test_where(text: str, name: str, point: Point) -> None:
    spec = bp.probe(text).spec
    assert (spec.name, spec.point) == (name, point)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "NO_ARG_BODY", ""),
        ("   ", "NO_ARG_BODY", "   "),
        ("vfs_read", "BAD_PROBE", "vfs_read"),
        ("probe vfs_read", "BAD_PROBE", "probe"),
        ("fentry:vfs_read", "BAD_PROBE", "fentry:vfs_read"),
        ("p", "BAD_PROBE_ADDR", "p"),
        ("p:x", "BAD_PROBE_ADDR", "p:x"),
        ("p hoge-fuga", "BAD_PROBE_ADDR", "hoge-fuga"),
        ("p hoge+1000-1000", "BAD_PROBE_ADDR", "hoge+1000-1000"),
        ("p vfs_read+08", "BAD_PROBE_ADDR", "vfs_read+08"),
        ("p vfs_read+0x100000000", "BAD_PROBE_ADDR", "vfs_read+0x100000000"),
        ("p 0x10000000000000000", "BAD_PROBE_ADDR", "0x10000000000000000"),
        ("p vfs_read%hoge", "BAD_ADDR_SUFFIX", "%hoge"),
        ("r vfs_read+10", "BAD_RETPROBE", "vfs_read+10"),
        ("p vfs_read+10%return", "BAD_RETPROBE", "vfs_read+10%return"),
        ("uretprobe:bash:readline+4", "BAD_RETPROBE", "bash:readline+4"),
        ("r1a111 vfs_read", "BAD_MAXACT", "1a111"),
        ("r4097 vfs_read", "MAXACT_TOO_BIG", "4097"),
        ("r10 /bin/sh:0x10", "BAD_MAXACT_TYPE", "10"),
        ("p100 vfs_read", "BAD_MAXACT_TYPE", "100"),
        ("p:/bar vfs_read", "NO_GROUP_NAME", "/"),
        ("p:foo.1/bar vfs_read", "BAD_GROUP_NAME", "foo.1"),
        ("p: vfs_read", "NO_EVENT_NAME", ""),
        (f"p:{'x' * 64}/e vfs_read", "GROUP_TOO_LONG", "x" * 64),
        ("f vfs_read+8", "BAD_PROBE_ADDR", "vfs_read+8"),
        ("e sched_switch", "NO_EVENT_INFO", "sched_switch"),
        ("t sched_switch", "RAW_TRACEPOINT", "sched_switch"),
        ("-:reads", "NO_DELETION", "-:reads"),
        ("p f $arg* $arg*", "DOUBLE_ARGS", "$arg*"),
        ("p:foo/bar.1 vfs_read", "BAD_EVENT_NAME", "bar.1"),
        ("1st=kprobe:vfs_read", "BAD_EVENT_NAME", "1st"),
        (f"p:{'x' * 64} vfs_read", "EVENT_TOO_LONG", "x" * 64),
        ("p /bin/sh:10a", "BAD_UPROBE_OFFS", "10a"),
        ("p /bin/sh:10(1a)", "BAD_REFCNT", "1a"),
        ("p /bin/sh:10(10", "REFCNT_OPEN_BRACE", ""),
        ("p /bin/sh:10(10)a", "BAD_REFCNT_SUFFIX", "a"),
        ("uprobe:/bin/sh", "BAD_PROBE_ADDR", "/bin/sh"),
        ("uprobe:/bin/\0sh:main", "FILE_NOT_FOUND", "/bin/\0sh:main"),
        ("uprobe:/bin/\ud800:main", "FILE_NOT_FOUND", "/bin/\ud800:main"),
        ("tracepoint:sched_switch", "BAD_PROBE_ADDR", "sched_switch"),
        ("syscall:Open", "BAD_PROBE_ADDR", "Open"),
        ("p vfs_read if", "NO_EP_FILTER", ""),
        ("p vfs_read if  ", "NO_EP_FILTER", ""),
        ("p vfs_read if pid = 4", "INVALID_OP", "="),
        ("p vfs_read a=b=%ax", "BAD_OPERATOR", "="),
        ("p vfs_read +(%ax)", "BAD_DEREF_OFFS", "+(%ax)"),
        ("p vfs_read arg1=", "NO_ARG_BODY", ""),
        (f"p vfs_read {'x' * 4094}", "ARG_TOO_LONG", f"p vfs_read {'x' * 29}"),
    ],
)
def test_errors_have_the_code_of_the_kernel_and_a_place(text: str, code: str, place: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_definition(SourceText(text))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.span and diagnostic.span.text) == (code, place)


def test_captures_and_filter_come_in_order() -> None:
    spec = bp.probe('p:open do_sys_open dfd=%ax name=+0( %si ):string "x y" if pid == 1 && a').spec
    assert [capture.name for capture in spec.captures] == ["dfd", "name", "arg3"]
    assert [capture.span.text for capture in spec.captures] == [
        "dfd=%ax",
        "name=+0( %si ):string",
        '"x y"',
    ]
    assert spec.filter is not None
    assert spec.filter.span.text == "pid == 1 && a"
    assert str(spec) == spec.source.text


def test_a_name_that_begins_with_if_is_no_filter() -> None:
    spec = bp.probe("p f ifindex if iflag == 1").spec
    assert [capture.name for capture in spec.captures] == ["ifindex"]
    assert spec.filter is not None


def test_the_place_is_a_span() -> None:
    assert bp.probe("x=kprobe:vfs_read a").spec.point_span.text == "vfs_read"
    assert bp.probe("p:x vfs_read+8 a").spec.point_span.text == "vfs_read+8"


def test_an_error_of_a_long_line_shows_the_part_around_it() -> None:
    with pytest.raises(SpecError) as caught:
        bp.probe("p f " + "aa " * 60 + "??? " + "bb " * 60)
    _, line, caret, *_ = str(caught.value).split("\n")
    assert len(line) < 140
    assert line[caret.index("^")] == "?"
    assert "..." in line


def test_an_error_of_a_text_of_several_lines_shows_one() -> None:
    with pytest.raises(SpecError) as caught:
        bp.probe("p f a\n  b\tc=\n  d")
    assert str(caught.value).split("\n")[1:3] == ["    b\\tc=", "         ^"]
