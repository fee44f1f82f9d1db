from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bpfprobe.ftrace.event import ftrace_event
from bpfprobe.model.ftrace import FtraceEvent, NoForm
from bpfprobe.model.scalar import S16, S64, U8, U16, U64, X64
from bpfprobe.model.site import UserSite
from bpfprobe.model.value import (
    Argument,
    Capturable,
    Constant,
    ConstantText,
    ContextField,
    Load,
    RegisterValue,
    Space,
    SymbolAddress,
    TextAt,
    View,
)
from tests.sample_machine import ARM, MACHINE, bound

if TYPE_CHECKING:
    from bpfprobe.testing.static_target import StaticTarget

AT_RETURN = "arguments at a return, Linux 6.9"


def answer(text: str, target: StaticTarget = MACHINE) -> FtraceEvent | tuple[NoForm, ...]:
    return ftrace_event(bound(text, target), target.facts().arch, target)


def event(text: str, target: StaticTarget = MACHINE) -> FtraceEvent:
    found = answer(text, target)
    assert isinstance(found, FtraceEvent), found
    return found


def of_value(value: Capturable, text: str = "kprobe:vfs_read a=count") -> str:
    """The one argument of a line, whose value is replaced by this one."""
    probe = bound(text)
    capture = replace(probe.captures[0], value=value)
    found = ftrace_event(replace(probe, captures=(capture,)), "x86_64", MACHINE)
    return found.line.split()[2] if isinstance(found, FtraceEvent) else found[0].why


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("p:my vfs_read", "p:bpfprobe/my vfs_read"),
        ("kprobe:vfs_read+0x10 a=%ax", "p:bpfprobe/vfs_read vfs_read+16 a=%ax:x64"),
        (
            "kprobe:nf_conntrack:nf_ct_delete portid report",
            "p:bpfprobe/nf_ct_delete nf_conntrack:nf_ct_delete portid=%si:u32 report=%dx:s32",
        ),
        ("p:at 0xffffffff81000000", "p:bpfprobe/at 0xffffffff81000000"),
        (
            "uprobe:/bin/bash:readline a=$arg1:string b=+u8(%si):u16",
            "p:bpfprobe/readline /bin/bash:0x1100 a=+0(%di):string b=+8(%si):u16",
        ),
        (
            "uretprobe:/bin/bash:readline a=$retval",
            "r:bpfprobe/readline /bin/bash:0x1100 a=$retval:s64",
        ),
        (
            "syscall:openat filename flags=flags:x32",
            "p:bpfprobe/openat __x64_sys_openat filename=+0(+104(%di)):ustring "
            "flags=+96(%di):x32",
        ),
    ],
)  # fmt: skip
def test_places(text: str, line: str) -> None:
    assert event(text) == FtraceEvent(line, "bpfprobe", line.split()[0].partition("/")[2])


def test_a_group_and_maxactive_are_kept() -> None:
    assert event("r20:mine/answered vfs_read $retval if $retval > 3") == FtraceEvent(
        "r20:mine/answered vfs_read retval=$retval:s64", "mine", "answered", "retval > 3"
    )


@pytest.mark.parametrize(
    ("capture", "argument"),
    [
        ("a=count", "%dx:u64"),
        ("a=file", "%di:x64"),
        ("a=count:u16", "%dx:u16"),
        ("a=buf:ustring", "+0(%si):ustring"),
        ("a=file->f_flags", "+24(%di):u32"),
        ("a=file->f_flags:x64", "+24(%di):x32"),
        ("a=file->f_path.dentry->d_name.name", "+0(+24(+8(%di))):string"),
        ("a=file->f_path.dentry->d_iname", "+32(+8(%di)):string"),
        ("a=file->tags", "+29(%di):u8[4]"),
        ("a=file->locked", "+48(%di):u8"),
        ("a=file->ready", "b1@0/32"),
        ("a=-8(%sp):s32", "-8(%sp):s32"),
        ("a=+4(+8(%si)):x8[3]", "+4(+8(%si)):x8[3]"),
        ("a=$stack2", "+16(%sp):x64"),
        ("a=@jiffies_like", "@jiffies_like:x64"),
        ("a=@jiffies_like+4:u32", "@jiffies_like+4:u32"),
        ("a=@0xffffffff81000000:u8", "@0xffffffff81000000:u8"),
        ("a=\\42", "\\42:s64"),
        ('a=\\"hi"', '\\"hi":string'),
        ("a=comm", "$comm:string"),
        ("a=%di:symbol", "%di:symbol"),
        ("a=+0(%di):b3@2/8", "+0(%di):b3@2/8"),
        ("a=+0(%di):b3@2/8[4]", "+0(%di):b3@2/8[4]"),
        ("a=+0(%si):string[2]", "+0(%si):string[2]"),
        ("a=file:%pD", "+0(+24(+8(%di))):string"),
    ],
)
def test_values(capture: str, argument: str) -> None:
    word = event(f"kprobe:vfs_read {capture}").line.split()[2]
    assert word.startswith("a=")
    assert word.endswith(argument)


@pytest.mark.parametrize(
    ("value", "argument"),
    [
        (View(View(Argument(3, U64), U8), U64), "a=%dx:u8"),
        (View(View(Argument(3, U64), U8), S16), "a=%dx:u8"),
        (View(Argument(3, S16), S64), "a=%dx:s16"),
        (View(Argument(3, S16), U64), "s16 cannot be widened to u64 with its sign"),
        (View(Argument(3, U16), X64), "a=%dx:x16"),
        (View(Load(Argument(1), 8, U64, Space.KERNEL), U16), "a=+8(%di):u16"),
        (Load(Argument(1), 8, U16, Space.KERNEL, bit_offset=3, bit_size=5), "a=+8(%di):b5@3/16"),
        (
            View(Load(Argument(1), 8, U16, Space.KERNEL, bit_offset=3, bit_size=9), U8),
            "a bit field cannot be cut to a narrower type",
        ),
        (
            Load(Argument(1), 8, S16, Space.KERNEL, bit_size=5),
            "bit fields are unsigned there, and this one is signed",
        ),
        (
            Load(Argument(1, U16), 8, U16, Space.KERNEL),
            "an address has 64 bits there, and this one is u16",
        ),
        (Load(SymbolAddress("", 4096), 8, U16, Space.KERNEL), "a=@0x1008:u16"),
        (Load(SymbolAddress("", 4096), 8, U16, Space.USER),
         "@ reads the kernel's memory in a probe of the kernel"),
        (RegisterValue("nowhere"), "ftrace has no name for the register nowhere"),
        (ContextField(8, U16), "the tracepoint names no field at 8"),
        (Constant(-3), "a=\\-3:s64"),
        (ConstantText(b"a b"),
         'text in a line of ftrace is printable ASCII without a blank, " or #'),
        (ConstantText(b"\xff"),
         'text in a line of ftrace is printable ASCII without a blank, " or #'),
        (TextAt(Load(Argument(2), 0, X64, Space.USER), Space.USER), "a=+0(+u0(%si)):ustring"),
    ],
)  # fmt: skip
def test_values_that_are_made_by_hand(value: Capturable, argument: str) -> None:
    assert of_value(value) == argument


@pytest.mark.parametrize(
    ("capture", "why"),
    [
        ("a=pid", "a record has the thread (common_pid), not the process"),
        ("a=tid", "every record has it already, as common_pid"),
        ("a=uid", "ftrace has no value for uid"),
        ("a=ppid", "no fetcharg reaches the current task on kernels up to 7.2"),
        ("a=count+1", "a fetcharg reads values and does no arithmetic on them"),
        ("a=count==1", "a fetcharg reads values and does no arithmetic or comparison on them"),
        ("a=+0(%di+%si)", "an address is a value plus a number there, without arithmetic"),
        ("a=file->level", "bit fields are unsigned there, and this one is signed"),
        ("a=+u0(%si):x8[3]", "an array in user memory has no form in a probe of the kernel"),
        ("a=argv", "a list of unknown length has no form"),
    ],
)
def test_captures_without_a_form(capture: str, why: str) -> None:
    (form,) = answer(f"kprobe:vfs_read {capture}")
    assert form.part == capture.partition("=")[0]
    assert form.why.startswith(why)


def test_every_part_without_a_form_is_told_at_once() -> None:
    wrong = answer("kretprobe:vfs_read took=duration $retval when=time if $retval * 2 > 3")
    assert isinstance(wrong, tuple)
    assert [form.part for form in wrong] == ["took", "when", "filter"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "kretprobe:vfs_read n=count name=file->f_path.dentry->d_iname",
            "r:bpfprobe/vfs_read vfs_read n=$arg3:u64 name=+32(+8($arg1)):string",
        ),
        ("kretprobe:vfs_read a=entry(count)", "r:bpfprobe/vfs_read vfs_read a=$arg3:u64"),
        (
            "syscall:openat%return dfd",
            "r:bpfprobe/openat __x64_sys_openat dfd=+112($arg1):u64",
        ),
    ],
)
def test_arguments_at_a_return_say_since_when(text: str, line: str) -> None:
    found = event(text)
    assert (found.line, found.needs) == (line, (AT_RETURN,))


@pytest.mark.parametrize(
    ("text", "part", "why"),
    [
        ("kretprobe:vfs_read a=entry(+0($arg1))", "a", "memory that was read on entry"),
        ("uretprobe:/bin/bash:readline a=$arg1", "a", "arguments of a program's function"),
        ("uprobe:/bin/bash:readline a=ppid", "a", "a probe in a program reads the program's"),
        ("tracepoint:lab:shapes numbers=numbers:x8[4]", "numbers", "an array in a record"),
    ],
)
def test_what_some_places_do_not_have(text: str, part: str, why: str) -> None:
    (form,) = answer(text)
    assert form.part == part
    assert form.why.startswith(why)


def test_a_tracepoint_is_an_event_probe() -> None:
    found = event("tracepoint:lab:shapes text small why flags=file->f_flags if small > 3")
    assert found.line == (
        "e:bpfprobe/shapes lab/shapes text=$text:string small=$small:u8 why=+0($why):string "
        "flags=+24($file):u32"
    )
    assert found.filter == "small > 3"
    assert found.needs == ("event probes, Linux 5.15",)


def test_a_character_says_since_when() -> None:
    found = event("kprobe:wake letter now")
    assert found.line == "p:bpfprobe/wake wake letter=%dx:char now=%si:u8"
    assert found.needs == ("the type char, Linux 6.3",)


def test_a_probe_of_one_process_differs() -> None:
    found = ftrace_event(
        replace(bound("uprobe:/bin/bash:readline"), site=UserSite("/bin/bash", 16, pid=42)),  # type: ignore[arg-type]  # FileOffset is an int
        "x86_64",
        MACHINE,
    )
    assert isinstance(found, FtraceEvent)
    assert found.differs == ("it is seen in every process, not in 42 alone",)


def test_a_marker_with_its_reference_counter_and_a_path_that_ends_a_word() -> None:
    probe = bound("uprobe:/bin/bash:readline")
    marker = replace(probe, site=UserSite("/bin/bash", 16, ref_ctr_offset=32))  # type: ignore[arg-type]  # FileOffset is an int
    found = ftrace_event(marker, "x86_64", MACHINE)
    assert isinstance(found, FtraceEvent)
    assert found.line == "p:bpfprobe/readline /bin/bash:0x10(0x20)"
    blank = replace(probe, site=UserSite("/opt/a b", 16))  # type: ignore[arg-type]  # FileOffset is an int
    (form,) = ftrace_event(blank, "x86_64", MACHINE)
    assert isinstance(form, NoForm)
    assert form.part == "place"


def test_a_marker_at_several_places() -> None:
    probe = bound("uprobe:/bin/bash:readline")
    (form,) = ftrace_event(replace(probe, more_sites=(probe.site,)), "x86_64", MACHINE)  # type: ignore[arg-type]  # it is a UserSite
    assert form == NoForm("place", "it stands at 2 places, and a line of ftrace is for one")


def test_arm64_has_registers_of_its_own() -> None:
    found = event("kprobe:vfs_read n=count", ARM)
    assert found.line == "p:bpfprobe/vfs_read vfs_read n=%x2:u64"
    call = event("syscall:openat dfd filename", ARM)
    assert call.line == (
        "p:bpfprobe/openat __arm64_sys_openat dfd=+272(%x0):u64 filename=+0(+8(%x0)):ustring"
    )


def test_a_line_has_an_end() -> None:
    many = " ".join(f"a{n}=count" for n in range(128))
    assert isinstance(answer(f"kprobe:vfs_read {many}"), FtraceEvent)
    (form,) = answer(f"kprobe:vfs_read {many} if file == 1")
    assert form == NoForm("place", "a line has at most 128 arguments and 4094 characters")
