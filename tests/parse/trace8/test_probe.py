"""trace(8)'s descriptions: what they ask for, in our own words."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.cli.value_text import bound_text
from bpfprobe.errors import SpecError
from bpfprobe.model.message import Conversion, Message, Shape
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import (
    KernelPoint,
    Point,
    SyscallPoint,
    TracepointPoint,
    UsdtPoint,
    UserPoint,
)
from bpfprobe.parse.trace8.probe import parse_trace8
from bpfprobe.pipeline import describe
from tests.sample_machine import MACHINE, compiled


@pytest.mark.parametrize(
    ("text", "point", "function"),
    [
        ("vfs_read", KernelPoint("vfs_read"), "vfs_read"),
        ("kfree_skb+56", KernelPoint("kfree_skb", 56), "kfree_skb"),
        ("kfree_skb+0x38", KernelPoint("kfree_skb", 0x38), "kfree_skb"),
        ("kfree_skb+010", KernelPoint("kfree_skb", 10), "kfree_skb"),
        ("::vfs_read", KernelPoint("vfs_read"), "vfs_read"),
        ("p::vfs_read", KernelPoint("vfs_read"), "vfs_read"),
        ("r::vfs_read", KernelPoint("vfs_read", returns=True), "vfs_read"),
        ("c:malloc", UserPoint("c", symbol="malloc"), "malloc"),
        (":c:malloc", UserPoint("c", symbol="malloc"), "malloc"),
        ("p:c:write", UserPoint("c", symbol="write"), "write"),
        ("r:bash:readline", UserPoint("bash", symbol="readline", returns=True), "readline"),
        ("/bin/a:b:main", None, None),
        ("p:/bin/a:b:main", UserPoint("/bin/a:b", symbol="main"), "main"),
        ("p:/tmp/a.out:main+0xd", UserPoint("/tmp/a.out", symbol="main", plus=13), "main"),
        ("p:/tmp/a.out:0x1139", UserPoint("/tmp/a.out", offset=0x1139), "0x1139"),
        ("t:sched:sched_switch", TracepointPoint("sched", "sched_switch"), "sched_switch"),
        ("u:pthread:pthread_create", UsdtPoint("pthread", "", "pthread_create"), "pthread_create"),
        ("u:c:libc:setjmp", UsdtPoint("c", "libc", "setjmp"), "libc:setjmp"),
        ("sys_read", SyscallPoint("read", False), "sys_read"),
        ("p::SyS_nanosleep", SyscallPoint("nanosleep", False), "SyS_nanosleep"),
        ("r::__x64_sys_openat", SyscallPoint("openat", True), "__x64_sys_openat"),
        ("__arm64_sys_openat", SyscallPoint("openat", False), "__arm64_sys_openat"),
        ("__x64_sys_openat+4", KernelPoint("__x64_sys_openat", 4), "__x64_sys_openat"),
    ],
)
def test_where(text: str, point: Point | None, function: str | None) -> None:
    if point is None:
        with pytest.raises(SpecError, match="BAD_PROBE"):
            parse_trace8(SourceText(text))
        return
    spec = parse_trace8(SourceText(text))
    assert spec.point == point
    assert spec.message == Message(function or "")


def meaning(text: str, **options: bool) -> list[str]:
    """What the sample machine makes of a description: its values and its filter, in words."""
    spec = parse_trace8(SourceText(text), **options)
    return bound_text(describe([spec], MACHINE).bound.probes[0]).splitlines()[1:]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('do_sys_openat2 "%s", arg2@user', ["arg2 = user string at argument 2"]),
        ('printk "%s", arg1', ["arg1 = any string at argument 1"]),
        ('vfs_read (arg3 > 20000) "read %d bytes", arg3',
         ["arg3 = (s32)argument 3 (s32)", "if argument 3 > 20000"]),
        ('r::vfs_read "%llx", retval', ["retval = (x64)the return value (x64)"]),
        ("r::vfs_read ((int)retval < 0)", ["if (s32)the return value < 0"]),
        ('r:bash:readline "%s", retval', ["retval = user string at the return value"]),
        ('c:malloc "size = %lld", arg1', ["arg1 = (s64)argument 1 (s64)"]),
        ("r:c:malloc (retval)", ["if the return value != 0"]),
        ("r:c:malloc (!retval)", ["if !(the return value != 0)"]),
        ('t:sched:sched_switch (args->prev_prio > 1 && $cpu == 0) "%s", args->prev_comm',
         ["prev_comm = kernel string at address of the field at 8",
          "if (field at 28 > 1) && (cpu == 0)"]),
        ("vfs_read ($uid != 0 || $gid || $pid == $tgid)",
         ["if (uid != 0) || (gid != 0) || (tid == pid)"]),
        ("vfs_read ($task->tgid == 1)", ["if (task)->tgid == 1"]),
        ('vfs_read "%x", ctx->di', ["value_1 = (x32)%di (x32)"]),
        ('vfs_read(struct file *f, char __user *buf, size_t n) (n > 4) "%s", buf',
         ["buf = user string at argument 2", "if (u64)argument 3 > 4"]),
        ("vfs_read(struct file *f)(f->f_inode->i_uid == 3)",
         ["if ((argument 1)->f_inode)->i_uid == 3"]),
        ('p::vfs_read(struct file *f) "%s", f->f_path.dentry->d_name.name',
         ["name = any string at ((argument 1)->f_path.dentry)->d_name.name"]),
        ('vfs_read(struct file *f) "%d", ((struct inode *)f->f_inode)->i_uid',
         ["i_uid = (s32)((argument 1)->f_inode)->i_uid (s32)"]),
        ('vfs_read(struct file *f) "%x", f->tags[2]',
         ["value_1 = (x32)(argument 1)->tags[2] (x32)"]),
        ("vfs_read(gfp_t flags, unused_t x)(flags == 3)", ["if (u32)argument 1 == 3"]),
        ('p::__x64_sys_openat (STRCMP("a b", arg2))', ['if user string at argument 2 == "a b"']),
        ('do_sys_openat2 (!STRCMP("x", arg2@user))', ['if !(user string at argument 2 == "x")']),
        ('do_sys_openat2 "%d", STRCMP("x", arg2)',
         ['value_1 = (s32)user string at argument 2 == "x" (s32)']),
        # C's own precedence, and its constants
        ("vfs_read (arg3 & 4 == 4)", ["if (argument 3 & 4 == 4) != 0"]),
        ("vfs_read ((arg3 & 4) == 4)", ["if (argument 3 & 4) == 4"]),
        ("vfs_read (arg3 + 2 * 3 << 1 == 20UL)", ["if ((argument 3 + 6) << 1) == 20"]),
        ("vfs_read (arg1 == NULL || true)", ["if (argument 1 == 0) || (1 != 0)"]),
        ("vfs_read (arg3 == 'a' || arg3 == -1LL)", ["if (argument 3 == 97) || (argument 3 == -1)"]),
        ("vfs_read (~arg3 == +0x10u)", ["if ~argument 3 == 16"]),
        # a signature's name is the argument's, whatever the kernel calls it
        ('vfs_read(int count)(count == 3) "%d", count',
         ["count = (s32)argument 1 (s32)", "if (s32)argument 1 == 3"]),
        # a filter sees the field, not what the format cut of it
        ('t:sched:sched_switch (args->prev_pid == 70000) "%hd", args->prev_pid',
         ["prev_pid_1 = (s16)field at 24 (s16)", "if field at 24 == 70000"]),
        # the same value twice
        ('vfs_read "%d %x", arg3, arg3',
         ["arg3 = (s32)argument 3 (s32)", "arg3_1 = (x32)argument 3 (x32)"]),
    ],
)  # fmt: skip
def test_what_is_taken(text: str, lines: list[str]) -> None:
    assert [line.strip() for line in meaning(text)] == lines


def test_bytes_are_compared_in_words() -> None:
    text = 'do_sys_openat2 (STRCMP("{0x6C, 0, 0x00, 010, 7}", arg2@user))'
    (line,) = meaning(text, binary_strings=True)
    assert line.strip() == (
        "if (u32 in user memory at argument 2+0 == 134217836) && "
        "(u8 in user memory at argument 2+4 == 7)"
    )


def conversions(text: str) -> list[object]:
    message = parse_trace8(SourceText(text)).message
    assert message is not None
    return [
        part
        if isinstance(part, str)
        else (part.shape.value, part.flags, part.width, part.precision)
        for part in message.parts
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("vfs_read", []),
        ('vfs_read "plain"', ["plain"]),
        ('vfs_read "100%% %d"  ,  arg1', ["100% ", ("d", "", 0, -1)]),
        ('vfs_read "%d%d" arg1,arg2', [("d", "", 0, -1), ("d", "", 0, -1)]),
        ('c:puts "[%-8s|%.3s|%#06llx|%+hd]", arg1, arg1, arg1, arg1',
         ["[", ("s", "-", 8, -1), "|", ("s", "", 0, 3), "|", ("x", "#0", 6, -1), "|",
          ("d", "+", 0, -1), "]"]),
        (r'vfs_read "a \"b\" \n c\\d %u"  , arg1', [r'a "b" \n c\d ', ("d", "", 0, -1)]),
        ('vfs_read "%K %U %c %lx", arg1, arg1, arg1, arg1',
         [("K", "", 0, -1), " ", ("U", "", 0, -1), " ", ("c", "", 0, -1), " ", ("x", "", 0, -1)]),
        ('vfs_read ("x" != 0) "%d", 1', None),
    ],
)  # fmt: skip
def test_formats(text: str, parts: list[object] | None) -> None:
    if parts is None:
        with pytest.raises(SpecError, match="can only stand in STRCMP"):
            conversions(text)
        return
    assert conversions(text) == parts


@pytest.mark.parametrize(
    ("conversion", "kind"),
    [
        ("%d", "s32"), ("%u", "u32"), ("%x", "x32"), ("%hd", "s16"), ("%hu", "u16"), ("%c", "u8"),
        ("%hhx", "x8"), ("%ld", "s64"), ("%lu", "u64"), ("%lx", "x64"), ("%lld", "s64"),
        ("%llu", "u64"), ("%llx", "x64"), ("%K", "x64"), ("%U", "x64"), ("%s", "string"),
    ],
)  # fmt: skip
def test_a_conversion_is_a_type(conversion: str, kind: str) -> None:
    (capture,) = parse_trace8(SourceText(f'c:f "{conversion}", arg1')).captures
    assert capture.type is not None
    assert capture.type.base == kind


SELF_EXPLAINING = {
    "FILE_NOT_FOUND", "BAD_SIGNATURE", "BAD_IMM", "TOO_MANY_NESTED", "NO_ARG_BODY",
    "BAD_EXPRESSION",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "NO_ARG_BODY", ""),
        ("x:y:z", "BAD_PROBE", "x"),
        ("kprob:vfs_read", "BAD_PROBE", "kprob"),
        ("fentry:vfs_read", "BAD_PROBE", "fentry"),
        ("u:nothing", "FILE_NOT_FOUND", "u:nothing"),
        ("u:libc.so.6:", "BAD_PROBE_ADDR", "libc.so.6:"),
        ("u:c:setjmp(int x)", "BAD_SIGNATURE", "(int x)"),
        ("t:sched", "FILE_NOT_FOUND", "t:sched"),
        ("t:a:b:c", "BAD_PROBE_ADDR", "t:a:b:c"),
        ("vfs_read+z", "BAD_PROBE_ADDR", "vfs_read+z"),
        ("vfs_read+0x1ffffffff", "BAD_PROBE_ADDR", "vfs_read+0x1ffffffff"),
        ("r::vfs_read+4", "BAD_RETPROBE", "r::vfs_read+4"),
        ("p:c:", "BAD_PROBE_ADDR", "p:c:"),
        ("p:c:9x", "BAD_PROBE_ADDR", "p:c:9x"),
        ("1234", "BAD_PROBE_ADDR", "1234"),
        ("vfs_read(arg3 > 3)", "BAD_SIGNATURE", "arg3 > 3"),
        ("vfs_read(int)", "BAD_SIGNATURE", "int"),
        ("vfs_read(int a, int a)", "BAD_SIGNATURE", "a"),
        ("vfs_read(int a,)", "BAD_SIGNATURE", "(int a,)"),
        ("vfs_read(, int a)", "BAD_SIGNATURE", ","),
        ("vfs_read(struct a b c)", "BAD_SIGNATURE", "struct a b"),
        ("vfs_read(struct nothing *x)(x->y)", "BAD_TYPE", "struct nothing *"),
        ("t:sched:sched_switch(int x)", "BAD_SIGNATURE", "(int x)"),
        ("vfs_read (arg1", "TOO_MANY_OPEN", "("),
        ("vfs_read (arg1))", "BAD_FORMAT", ")"),
        ("vfs_read (arg1 = 3)", "BAD_OPERATOR", "="),
        ("vfs_read (arg1 ? 1 : 2)", "BAD_FETCH_ARG", "?"),
        ("vfs_read (bpf_send_signal(9))", "BAD_EXPRESSION", "bpf_send_signal"),
        ("vfs_read ((bpf_send_signal)(9))", "NO_BTFARG", "bpf_send_signal"),
        ("vfs_read (arg1) { return 1; }", "BAD_FORMAT", "{ return 1; }"),
        ("vfs_read (1; bpf_override_return(ctx, 0))", "BAD_FETCH_ARG", ";"),
        ("vfs_read (&arg1)", "BAD_EXPRESSION", "&"),
        ("vfs_read (foo)", "NO_BTFARG", "foo"),
        ("vfs_read (args->count)", "NO_BTFARG", "args->count"),
        ("vfs_read (ctx->nothing)", "BAD_REG_NAME", "ctx->nothing"),
        ("vfs_read ($comm)", "BAD_VAR", "$comm"),
        ("vfs_read (arg9 == 1)", "NO_BTFARG", "arg9"),
        ("vfs_read (retval)", "RETVAL_ON_PROBE", "retval"),
        ("vfs_read (arg1 == )", "NO_ARG_BODY", ""),
        ("vfs_read (sizeof(int))", "BAD_EXPRESSION", "sizeof"),
        ("vfs_read (arg1[arg2])", "BAD_ARRAY_NUM", "[arg2"),
        ("vfs_read (arg1->x)", "NO_BTF_FIELD", "x"),
        ('vfs_read (STRCMP(arg1, "x"))', "BAD_EXPRESSION", "STRCMP(arg1"),
        ('vfs_read (STRCMP("x", arg1)', "TOO_MANY_OPEN", "("),
        ("vfs_read (arg1@kernel)", "BAD_EXPRESSION", "@kernel"),
        ("vfs_read (08)", "BAD_IMM", "08"),
        ("vfs_read (" + "(" * 70 + "1" + ")" * 70 + ")", "TOO_MANY_NESTED", None),
        ("t:sched:sched_switch (arg1)", "NOFENTRY_ARGS", "arg1"),
        ("t:sched:sched_switch (args->prev_pod)", "FIELD_NOT_FOUND", "args->prev_pod"),
        ("vfs_read hello", "BAD_FORMAT", "hello"),
        ('vfs_read "%d', "IMMSTR_NO_CLOSE", '"%d'),
        ('vfs_read "%p", arg1', "BAD_FORMAT", "%p"),
        ('vfs_read "50%"', "BAD_FORMAT", "%"),
        ('vfs_read "%999d", arg1', "BAD_FORMAT", "%999d"),
        ('vfs_read "%d %d", arg1', "BAD_FORMAT", "%d"),
        ('vfs_read "%d"', "BAD_FORMAT", "%d"),
        ('vfs_read "%d", arg1, arg2', "BAD_FORMAT", "arg2"),
        ('vfs_read "x", arg1', "BAD_FORMAT", "arg1"),
        ('vfs_read "%d", arg1 arg2', "BAD_EXPRESSION", "arg2"),
        ('vfs_read "%d %d", arg1 arg2', "BAD_EXPRESSION", "arg2"),
        ('vfs_read(struct file *f) "%s", f', "BAD_TYPE4STR", None),
        ('vfs_read(struct file *f) "%d", f->f_path', "BAD_TYPE", "f->f_path"),
        (f"vfs_read {'x' * 4094}", "ARG_TOO_LONG", None),
    ],
)
def test_what_is_wrong_has_a_code_and_a_place(text: str, code: str, place: str | None) -> None:
    with pytest.raises(SpecError) as caught:
        describe([parse_trace8(SourceText(text))], MACHINE)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert diagnostic.hint is not None or code in SELF_EXPLAINING
    if place is not None:
        assert diagnostic.span is not None
        assert diagnostic.span.text == place


def test_a_whole_message() -> None:
    with pytest.raises(SpecError) as caught:
        parse_trace8(SourceText("vfs_read (bpf_send_signal(9) == 0)"))
    assert str(caught.value).splitlines()[:3] == [
        "functions cannot be called [BAD_EXPRESSION]",
        "  vfs_read (bpf_send_signal(9) == 0)",
        "            ^~~~~~~~~~~~~~~",
    ]


def test_the_room_for_strings_is_given() -> None:
    spec = parse_trace8(SourceText('c:free "%s", arg1'), string_bytes=81)
    field = describe([spec], MACHINE).plan.probes[0].layout.field("arg1")
    assert field.capacity == 81


def test_python_takes_it_too() -> None:
    probe = bp.probe('r:bash:readline "%s", retval')
    assert probe.name == "readline"
    assert compiled(probe).plan.probes[0].layout.field("retval").capacity == 4096
    parts = (Conversion(Shape.TEXT, "retval"),)
    assert probe.spec.message == Message("readline", parts)
