from __future__ import annotations

from dataclasses import replace

import pytest

import bpfprobe as bp
from bpfprobe.model.arch import X86_64
from bpfprobe.model.scalar import BOOL, CHAR, S8, S16, S32, S64, U8, U16, U32, U64, X64, Scalar
from bpfprobe.model.value import (
    Argument,
    ArrayValue,
    BinaryOperation,
    Builtin,
    BuiltinValue,
    CommText,
    Constant,
    ConstantText,
    ContextAddress,
    ContextField,
    Duration,
    Kept,
    Load,
    RegisterValue,
    ReturnValue,
    Space,
    SymbolAddress,
    SyscallArgument,
    TextAt,
    Truth,
    UnaryOperation,
    View,
)
from bpfprobe.resolve.resolve import resolve
from tests.sample_machine import ARM, FACTS, MACHINE, NO, bound, complaint, machine, place, value

KERNEL, USER, ANY = Space.KERNEL, Space.USER, Space.ANY
SP = RegisterValue("sp")
FILE, INODE = Argument(1, X64), Load(Argument(1, X64), 16, X64, KERNEL, "file", "f_inode")
HOW = Argument(3, X64)
HOW_FLAGS = Load(HOW, 0, U64, KERNEL, "open_how", "flags")
NUMBERS, FOUR = ContextAddress(12, True), ContextAddress(16)


def stack(slot: int) -> Load:
    return Load(SP, 8 * slot, X64, KERNEL)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        # arguments, by name and by number, as BTF types them
        ("p do_sys_openat2 dfd", Argument(1, S32)),
        ("p do_sys_openat2 $arg1", Argument(1, S32)),
        ("p do_sys_openat2 how", HOW),
        ("p vfs_read count:u64", Argument(3, U64)),
        ("p wake now", Argument(2, BOOL)),
        ("p wake letter", Argument(3, CHAR)),
        ("p untyped $arg2", Argument(2, X64)),
        ("p nf_ct_delete portid", Argument(2, U32)),
        ("p nf_conntrack:nf_ct_delete portid", Argument(2, U32)),
        # behind the registers: the stack, from entry
        ("p eight g", Load(SP, 8, S32, KERNEL)),
        ("p eight $arg8", Load(SP, 16, X64, KERNEL)),
        ("p untyped $arg7", stack(1)),
        ("r eight g", Kept(Load(SP, 8, S32, KERNEL))),
        ("r untyped $arg7", Kept(stack(1))),
        # registers and stack
        ("p vfs_read %di", RegisterValue("di")),
        ("p vfs_read %rax", RegisterValue("ax")),
        ("p vfs_read $stack", SP),
        ("p vfs_read $stack2", stack(2)),
        ("p vfs_read+8 %ax:s32", View(RegisterValue("ax"), S32)),
        # fetch arguments
        ("p vfs_read +8(%si)", Load(RegisterValue("si"), 8, X64, KERNEL)),
        ("p vfs_read +8(%si):s16", Load(RegisterValue("si"), 8, S16, KERNEL)),
        ("p vfs_read -8(%si):s8", Load(RegisterValue("si"), -8, S8, KERNEL)),
        ("p vfs_read +u0(buf):u8", Load(Argument(2, X64), 0, U8, USER)),
        ("p vfs_read +0(+u8(%si))", Load(Load(RegisterValue("si"), 8, X64, USER), 0, X64, USER)),
        ("p vfs_read @0xffff:u32", Load(SymbolAddress("", 0xFFFF), 0, U32, KERNEL)),
        ("p vfs_read \\42", Constant(42)),
        ("p vfs_read \\42:u8", View(Constant(42), U8)),
        ("p vfs_read 'a'", Constant(97)),
        # members
        ("p vfs_read file->f_inode", INODE),
        ("p vfs_read file->f_inode->i_uid", Load(INODE, 4, U32, KERNEL, "inode", "i_uid")),
        (
            "p vfs_read file->f_path.dentry",
            Load(FILE, 8, X64, KERNEL, "file", "f_path.dentry"),
        ),
        (
            "p vfs_read file->f_path.dentry->d_name.len",  # in a struct without a name in a union
            Load(Load(FILE, 8, X64, KERNEL, "file", "f_path.dentry"), 20, U32, KERNEL, "dentry",
                 "d_name.len"),
        ),
        ("p vfs_read file->ready", Load(FILE, 28, U32, KERNEL, "file", "ready", 0, 1)),
        ("p vfs_read file->level", Load(FILE, 28, S32, KERNEL, "file", "level", 1, 3)),
        ("p vfs_read file->locked", Load(FILE, 48, BOOL, KERNEL, "file", "locked")),
        ("p vfs_read file->marks[2]", Load(FILE, 72, U64, KERNEL, "file", "marks[2]")),
        ("p do_sys_openat2 how->mode", Load(HOW, 8, U64, KERNEL, "open_how", "mode")),
        ("p do_sys_openat2 how[1].mode", Load(HOW, 32, U64, KERNEL, "open_how", "mode")),
        ("p vfs_read *pos", Load(Argument(4, X64), 0, S64, KERNEL)),
        ("p vfs_read pos[2]", Load(Argument(4, X64), 16, S64, KERNEL)),
        (
            "p vfs_read $current->real_parent->tgid",
            Load(
                Load(BuiltinValue(Builtin.TASK), 16, X64, KERNEL, "task_struct", "real_parent"),
                12, S32, KERNEL, "task_struct", "tgid",
            ),
        ),
        # casts
        ("p untyped ((struct open_how *)$arg1)->mode",
         Load(Argument(1, X64), 8, U64, KERNEL, "open_how", "mode")),
        ("p untyped *(u32 *)$arg1", Load(Argument(1, X64), 0, U32, KERNEL)),
        ("p untyped (s32)$arg1", View(Argument(1, X64), S32)),
        ("p untyped (unsigned long)$arg1", View(Argument(1, X64), U64)),
        ("p untyped ((int *)$arg1)[3]", Load(Argument(1, X64), 12, S32, KERNEL)),
        # arithmetic
        ("p vfs_read count+1", BinaryOperation("+", Argument(3, U64), Constant(1), U64)),
        ("p do_sys_openat2 dfd*2", BinaryOperation("*", Argument(1, S32), Constant(2), S64)),
        ("p do_sys_openat2 -dfd", UnaryOperation("-", Argument(1, S32), S64)),
        ("p do_sys_openat2 ~5", Constant(-6)),
        ("p do_sys_openat2 ~0xffffffffffffffff", Constant(0)),
        ("p vfs_read count/2", BinaryOperation("/", Argument(3, U64), Constant(2), U64)),
        # arrays
        ("p vfs_read file->tags",
         ArrayValue(BinaryOperation("+", FILE, Constant(29), X64), U8, 4, KERNEL)),
        ("p vfs_read +8($stack):x8[16]", ArrayValue(BinaryOperation("+", SP, Constant(8), X64),
                                                    Scalar(1, False, X64.style), 16, KERNEL)),
        # strings, and where they are
        ("p do_sys_openat2 filename", TextAt(Argument(2, X64), USER)),
        ("p do_sys_openat2 filename:string", TextAt(Argument(2, X64), USER)),
        ("p open_it name", TextAt(Argument(1, X64), ANY)),
        ("p open_it name:ustring", TextAt(Argument(1, X64), USER)),
        ("p open_it +0(name):string", TextAt(Argument(1, X64), ANY)),
        ("p open_it +u0(name):string", TextAt(Argument(1, X64), USER)),
        ("p untyped $arg1:string", TextAt(Argument(1, X64), ANY)),
        ("p untyped +4(%di):ustring",
         TextAt(BinaryOperation("+", RegisterValue("di"), Constant(4), X64), USER)),
        ("p vfs_read file->f_path.dentry->d_iname",
         TextAt(BinaryOperation("+", Load(FILE, 8, X64, KERNEL, "file", "f_path.dentry"),
                                Constant(32), X64), KERNEL, 32)),
        ("p vfs_read $current->comm", TextAt(
            BinaryOperation("+", BuiltinValue(Builtin.TASK), Constant(24), X64), KERNEL, 16)),
        ("p vfs_read c=comm", CommText()),
        ("p vfs_read $comm:string", CommText()),
        ("p vfs_read func", ConstantText(b"vfs_read")),
        ('p vfs_read \\"hello"', ConstantText(b"hello")),
        # builtins
        *[(f"p vfs_read x={b.value}", BuiltinValue(b)) for b in Builtin if b is not Builtin.TASK],
        ("p vfs_read $pid", BuiltinValue(Builtin.PID)),
        ("p vfs_read $current", BuiltinValue(Builtin.TASK)),
        ("r vfs_read duration", Duration()),
        # returns
        ("r vfs_read $retval", ReturnValue(S64)),
        ("r vfs_read retval:s32", View(ReturnValue(S64), S32)),
        ("r nf_conntrack:nf_ct_delete $retval", ReturnValue(BOOL)),
        ("r open_it $retval->f_flags", Load(ReturnValue(X64), 24, U32, KERNEL, "file", "f_flags")),
        ("r untyped $retval", ReturnValue(S64)),
        ("r untyped $retval:string", TextAt(ReturnValue(S64), ANY)),
        ("r do_sys_openat2 how->flags", Load(HOW, 0, U64, KERNEL, "open_how", "flags")),
        ("r do_sys_openat2 entry(how->flags)", Kept(HOW_FLAGS)),
        ("r do_sys_openat2 entry(filename):string", TextAt(Kept(Argument(2, X64)), USER)),
        ("p do_sys_openat2 entry(dfd)", Argument(1, S32)),
    ],
)  # fmt: skip
def test_what_is_taken(text: str, taken: object) -> None:
    assert value(text) == taken


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("uprobe:bash:readline $arg1", Argument(1)),
        ("uprobe:bash:readline $arg1:string", TextAt(Argument(1), USER)),
        ("uprobe:bash:readline +8(%di)", Load(RegisterValue("di"), 8, X64, USER)),
        ("uprobe:bash:readline @0x404000:u32", Load(SymbolAddress("", 0x404000), 0, U32, USER)),
        ("uprobe:bash:readline $stack1", Load(SP, 8, X64, USER)),
        ("uretprobe:bash:readline $retval:string", TextAt(ReturnValue(S64), USER)),
        ("uretprobe:bash:readline func", ConstantText(b"readline")),
        ("uprobe:bash:readline ((struct sockaddr *)$arg2)->sa_family",
         Load(Argument(2), 0, U16, USER, "sockaddr", "sa_family")),
        # tracepoints
        ("tracepoint:sched:sched_switch prev_pid", ContextField(24, S32)),
        ("tracepoint:sched:sched_switch prev_state", ContextField(32, S64)),
        ("tracepoint:sched:sched_switch prev_comm", TextAt(ContextAddress(8), KERNEL, 16)),
        ("tracepoint:sched:sched_switch common_pid", BuiltinValue(Builtin.TID)),
        ("tracepoint:sched:sched_switch x=pid", BuiltinValue(Builtin.PID)),
        ("tracepoint:sched:sched_process_exec x=pid", ContextField(12, S32)),
        ("tracepoint:sched:sched_process_exec filename", TextAt(ContextAddress(8, True), KERNEL)),
        ("tracepoint:lab:shapes text", TextAt(ContextAddress(8, True, True), KERNEL)),
        ("tracepoint:lab:shapes numbers:u32[3]", ArrayValue(NUMBERS, U32, 3, KERNEL)),
        ("tracepoint:lab:shapes numbers[1]", Load(NUMBERS, 4, U32, KERNEL, "", "[1]")),
        ("tracepoint:lab:shapes four", ArrayValue(FOUR, U16, 4, KERNEL)),
        ("tracepoint:lab:shapes four[3]", Load(FOUR, 6, U16, KERNEL, "", "[3]")),
        ("tracepoint:lab:shapes small", ContextField(40, U8)),
        ("tracepoint:lab:shapes why", TextAt(ContextField(32, X64), ANY)),
        ("tracepoint:lab:shapes file->f_flags",  # a pointer of the kernel's
         Load(ContextField(24, X64), 24, U32, KERNEL, "file", "f_flags")),
        # system calls
        ("syscall:openat filename", TextAt(SyscallArgument(2), USER)),
        ("syscall:openat flags:x32", View(SyscallArgument(3, U64), Scalar(4, False, X64.style))),
        ("syscall:openat $arg4", SyscallArgument(4, U64)),
        ("syscall:openat retval", ReturnValue(S64)),
        ("syscall:openat%return $retval:s32", View(ReturnValue(S64), S32)),
    ],
)  # fmt: skip
def test_what_is_taken_elsewhere(text: str, taken: object) -> None:
    assert value(text) == taken


def test_on_arm_eight_arguments_are_in_registers() -> None:
    assert value("p eight h", ARM) == Argument(8, X64)
    assert value("p untyped $arg8", ARM) == Argument(8, X64)
    assert value("p untyped %x19", ARM) == RegisterValue("regs[19]")
    pointer = RegisterValue("sp")
    assert value("p untyped $arg9", ARM) == Load(pointer, 0, X64, Space.KERNEL)
    nine = machine(
        replace(FACTS, arch="aarch64"),
        functions=["int nine(int a, int b, int c, int d, int e, int f, int g, int h, int last)"],
    )
    for name in ("last", "$arg9"):
        assert value(f"p nine {name}", nine) == Load(pointer, 0, S32, Space.KERNEL)
    assert complaint("p nine $arg10", nine).code == "NO_BTFARG"


def test_an_argument_by_value_takes_the_registers_that_it_needs() -> None:
    assert value("p by_value first") == Argument(1, S32)
    assert value("p by_value last") == value("p by_value $arg3")
    assert complaint("p by_value both").code == "BAD_TYPE"
    assert "by_value has 3 arguments" in complaint("p by_value $arg4").message


def test_exec_gives_the_arguments_of_the_new_program() -> None:
    for text in ("syscall:execve argv", "syscall:execve%return argv"):
        vector = value(text)
        assert type(vector).__name__ == "ArgumentVector"
        assert vector.vector == SyscallArgument(2)
        assert (vector.replaced is not None) == ("%return" in text)
    assert value("syscall:execve $arg2") == SyscallArgument(2)
    assert value("p vfs_read argv").vector is None


@pytest.mark.parametrize(
    ("probe", "returns"),
    [
        ("syscall:openat filename", False),
        ("syscall:openat x=$retval", True),
        ("syscall:openat filename if duration > 10", True),
        ("syscall:openat%return filename", True),
        (bp.syscall("openat", x="entry(filename):string", filter="retval < 0"), True),
        (bp.syscall("openat", returns=True), True),
        (bp.syscall("openat"), False),
    ],
)
def test_a_system_call_is_a_return_when_something_needs_it(
    probe: str | bp.Probe, returns: bool
) -> None:
    assert bound(probe).returns is returns


def test_a_capture_name_goes_before_an_argument_in_a_filter() -> None:
    spec = bp.kprobe("vfs_read", dfd="count:u32", filter="dfd == 4")
    assert "Argument(number=3" in str(bound(spec).filter)


def test_every_mistake_of_every_probe_is_told() -> None:
    specs = [bp.probe(text).spec for text in ("p vfs_read a b", "p nothing", "p untyped")]
    with pytest.raises(bp.SpecError) as caught:
        resolve(specs, MACHINE)
    assert [d.code for d in caught.value.diagnostics] == [
        "NO_BTFARG",
        "NO_BTFARG",
        "BAD_PROBE_ADDR",
    ]


def test_a_nested_comparison_is_resolved_once_a_level() -> None:
    text = "pid"
    for _ in range(28):
        text = f"({text} == 1)"
    assert isinstance(value(f"p vfs_read {text}"), Truth)


def test_an_unknown_processor() -> None:
    with pytest.raises(bp.TargetError) as caught:
        bound("p vfs_read", machine(replace(FACTS, arch="s390x")))
    assert caught.value.code == "OTHER_MACHINE"


def test_without_types_of_the_task_what_needs_them_says_so() -> None:
    bare = machine(structs={"file": "int a;", "inode": "int a;", "open_how": "u64 flags;",
                            "pair": "long a, b;"})  # fmt: skip
    for name in ("ppid", "argv"):
        wrong = complaint(f"p vfs_read x={name}", bare)
        assert (wrong.code, place(wrong)) == ("NOSUP_BTFARG", name)
        assert "CONFIG_DEBUG_INFO_BTF" in (wrong.hint or "")
    assert value("p vfs_read x=pid", bare) == BuiltinValue(Builtin.PID)


def test_a_hidden_address_is_no_address() -> None:
    assert value("p vfs_read @jiffies_like") == Load(
        SymbolAddress("jiffies_like", MACHINE.symbols("jiffies_like")[0].address), 0, X64, KERNEL
    )
    hidden = machine(symbols=[replace(MACHINE.symbols("untyped")[0], name="secret", address=0)])
    assert complaint("p vfs_read @secret", hidden).code == "BAD_MEM_ADDR"


def test_registers_are_those_of_the_processor() -> None:
    wrong = complaint("p vfs_read %x0")
    assert wrong.code == "BAD_REG_NAME"
    assert all(name in (wrong.hint or "") for name in X86_64.registers)
    assert NO.present is False


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7 * 6 - 2", 40),
        ("5 - 6", -1),
        ("1 << 63", -(1 << 63)),
        ("(1 << 63) >> 63", -1),
        ("-9 >> 1", -5),
        ("0xffffffffffffffff - 1", (1 << 64) - 2),
        ("0xffffffffffffffff + 2", 1),
        ("0xffffffffffffffff / -1", 1),
        ("17 / 5 + 17 % 5", 5),
        ("(6 | 1) & 3 ^ 0x10", 0x13),
        ("~0", -1),
    ],
)
def test_numbers_alone_are_calculated_at_once(text: str, number: int) -> None:
    assert value(bp.kprobe("untyped", x=text)) == Constant(number)


@pytest.mark.parametrize(
    "pointer", ["$arg1", "($arg1 + 8)", "(8 + $arg1)", "-(-$arg1)", "(u64)$arg1", "0x7000", "%di"]
)
@pytest.mark.parametrize("form", ["((file *){})->f_inode", "(file)({})->f_inode", "*(long *){}"])
def test_all_pointers_of_a_program_lead_into_its_memory(form: str, pointer: str) -> None:
    taken = value(bp.uprobe("/bin/bash", "readline", x=form.format(pointer)))
    assert isinstance(taken, Load)
    assert taken.space is USER


def test_a_number_found_in_user_memory_leads_into_it() -> None:
    for text in ("((file *)+u8(%si))->f_inode", "((file *)(+u8(%si) + 16))->f_inode"):
        taken = value(f"p untyped {text}")
        assert isinstance(taken, Load)
        assert taken.space is USER
    taken = value("p untyped ((file *)(%si+16))->f_inode")
    assert isinstance(taken, Load)
    assert taken.space is KERNEL


def test_a_small_number_of_c_is_no_character() -> None:
    for text, scalar in (("char", CHAR), ("signed char", S8), ("unsigned char", U8)):
        assert value(bp.kprobe("untyped", x=f"*({text} *)$arg1")) == Load(
            Argument(1), 0, scalar, KERNEL
        )
