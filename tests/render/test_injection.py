"""Descriptions, filters, formats and names made to break out: the C holds what was meant, no more.

BPFPROBE_INJECTIONS=100000 tries as many over all tests of this file; without, about 3,000.
"""

from __future__ import annotations

import keyword
import os
import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

import bpfprobe as bp
from bpfprobe._resources import template_root
from bpfprobe.errors import SpecError
from bpfprobe.model.options import OptionError
from bpfprobe.parse.capture import RESERVED_NAMES
from tests.render.corpus import EVERYTHING
from tests.render.test_compiled import FORBIDDEN, HELPERS, compile_all, helpers
from tests.render.test_hostile import HOSTILE, shape
from tests.sample_machine import FUNCTIONS, STRUCTS, TRACEPOINTS, c_text, compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfprobe.probes import Probe

TRIES = int(os.environ.get("BPFPROBE_INJECTIONS", "3000"))
CALLS = re.compile(r"\bbpf_\w+")
NUMBERED = re.compile(r"[a-z_]+\d+")
ASSERTED = re.compile(r'"(\w+ has another size|f_\w+ moved|k_\w+\.\w+ is not where BTF says)"')
NEVER = ("send_signal", "override_return", "probe_write_user")


def share(part: float) -> Callable[[Any], Any]:
    """Settings for a part of all tries."""
    return settings(max_examples=max(20, int(TRIES * part)))


_C_WORDS = (
    "int return asm goto while struct union static void inline __attribute__ sizeof typedef extern "
    "event ctx thread now counters marks0 used key kept slot MAP EVENTS COUNTERS bound REGISTER "
    "u64 IN_CONTEXT branched inlined struct_file pt_regs bpf_send_signal bpf_override_return main "
    "defined _LICENSE BCC_SEC evil __builtin_trap _Static_assert volatile register case default"
)
C_WORDS = _C_WORDS.split()
WORDS = st.sampled_from([w for w in C_WORDS if w not in RESERVED_NAMES and w[0] != "_"])
NAMES = WORDS | st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True).filter(
    lambda name: name not in RESERVED_NAMES
)
HOSTILE_TEXT = st.sampled_from(
    [
        *HOSTILE,
        "bpf_send_signal(9)",
        "0; bpf_override_return(ctx, -1);",
        "({ bpf_send_signal(9); 1; })",
        "1) { bpf_send_signal(9); } if (1",
        'STRCMP("x", ({ bpf_probe_write_user(0, 0, 0); 0; }))',
        "arg1, bpf_send_signal(9)",
        "*(int *)0 = 1",
        "arg1 ? bpf_send_signal(9) : 0",
        '%s", bpf_send_signal(9), "',
        "(struct file *)({ return 0; })",
        "ctx->di = 0",
        "asm volatile(\"exit\")",
        "__builtin_trap()",
        "#include </etc/passwd>",
        "\\\n",
    ]
)  # fmt: skip
_FRAGMENTS = (
    "vfs_read do_sys_openat2 count file->f_inode->i_ino filename $arg1 $retval %di +0( +u8( ( ) "
    '"a" "*x*" (int) (u64) ((struct open_how *)$arg3)->mode == != < && || ! & | ^ ~ << + - * / % '
    "-> . , : = :u32 :string :x8[4] if p: r: kprobe: t:sched:sched_switch args->prev_pid arg1 "
    'arg2@user retval STRCMP("x", "%d" "%s %K", ctx->di $task->mm $pid comm 1 0x10 kstack'
)
FRAGMENTS = st.sampled_from(_FRAGMENTS.split())
SPACED = st.sampled_from(["", " "])


def sentences(*kinds: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Pieces in a row, with a space between some."""
    pieces = st.one_of(*kinds)
    return st.lists(st.tuples(pieces, SPACED), max_size=12).map(
        lambda parts: "".join(piece + space for piece, space in parts)
    )


ANY = sentences(HOSTILE_TEXT, FRAGMENTS, FRAGMENTS, NAMES)


@cache
def known_words() -> frozenset[str]:
    """All that C printed for harmless descriptions is made of, and the words of the templates."""
    known: set[str] = set()
    for probe in EVERYTHING:
        known |= set(shape(c_text(probe)))
    for path in template_root().iterdir():
        if path.suffix in (".c", ".h"):
            known |= set(re.findall(r"\w+", path.read_text(encoding="ascii")))
    declared = " ".join([*FUNCTIONS, *STRUCTS, *map(str, STRUCTS.values()), *map(str, TRACEPOINTS)])
    return frozenset(known | set(re.findall(r"\w+", declared)))


def strange(text: str, own: set[str]) -> set[str]:
    """Words of a C text that are neither ours, nor the machine's, nor one of ``own`` as a name."""
    names = {f"f_{name}" for name in own} | own
    return {
        token
        for token in shape(text)
        if re.match(r"[A-Za-z_\"#]|/\*", token)
        and token not in known_words()
        and not NUMBERED.fullmatch(token)
        and token not in names
        and not re.fullmatch(r"[pe]\d+_\w*|struct k_\w+|k_\w+|\w+__at", token)
        and not ASSERTED.fullmatch(token)
        and not re.fullmatch(r"/\* probe \d+ \*/", token)
    }  # fmt: skip


def check(make: Callable[[], Probe]) -> str | None:
    """The C of a description, if it is one; it holds known words and calls known helpers alone."""
    try:
        probe = make()
        text = c_text(probe)
    except (SpecError, OptionError):
        return None
    own = {capture.name for capture in probe.spec.captures} | {probe.name}
    assert strange(text, own) == set()
    assert set(CALLS.findall(text)) <= set(HELPERS.values()) | {"bpf_pseudo_fd"}
    return text


@share(0.2)
@given(st.sampled_from(["p vfs_read ", "r:x do_sys_openat2 ", "kprobe:vfs_read ", "p:", "syscall:",
                        "uprobe:bash:main ", "tracepoint:sched:sched_switch "]), ANY)  # fmt: skip
def test_descriptions_of_the_kernel_and_ours(head: str, rest: str) -> None:
    check(lambda: bp.probe(head + rest))


@share(0.3)
@given(st.sampled_from(["vfs_read ", "vfs_read (", "r::do_sys_openat2 (", "c:malloc (",
                        "vfs_read(struct file *f) (", "t:sched:sched_switch (", "vfs_read(",
                        'vfs_read "%d %s", ', 'p::__x64_sys_openat "%s", ', "vfs_read (STRCMP("]),
       ANY, st.sampled_from(["", ")", '))', ') "%d", arg1', '"', ", arg2"]))  # fmt: skip
def test_descriptions_of_trace8(head: str, middle: str, tail: str) -> None:
    check(lambda: bp.probe(head + middle + tail))


@share(0.1)
@given(ANY, ANY)
def test_captures_and_filters_of_python_calls(capture: str, condition: str) -> None:
    check(lambda: bp.kprobe("vfs_read", x=capture))
    check(lambda: bp.kprobe("vfs_read", filter=condition))


@share(0.1)
@given(NAMES | HOSTILE_TEXT, NAMES | HOSTILE_TEXT)
def test_names_are_names_or_refused(event: str, capture: str) -> None:
    text = check(lambda: bp.kprobe("vfs_read", event=event, captures={capture: "$arg1"}))
    if text is None:
        return
    harmless = c_text(bp.kprobe("vfs_read", event="event_", captures={"capture_": "$arg1"}))
    rename = {f"f_{capture}": "f_capture_", capture: "capture_"}
    tokens = [_renamed(token, rename, f"f_{capture}", "f_capture_") for token in shape(text)]
    program = re.compile(r"p0_\w+")
    assert [program.sub("p0_", t) for t in tokens] == [
        program.sub("p0_", t) for t in shape(harmless)
    ]


def _renamed(token: str, rename: dict[str, str], old: str, new: str) -> str:
    if token.startswith('"'):
        return re.sub(rf"\b{old}\b", new, token)
    return rename.get(token, token) if token.startswith("f_") else token


literals = st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\0", b"\x01"))


@share(0.1)
@given(literals | HOSTILE_TEXT.map(str.encode), st.integers(-(1 << 63), (1 << 64) - 1))
def test_values_do_not_change_the_c(literal: bytes, number: int) -> None:
    quoted = '"' + "".join(f"\\x{byte:02x}" for byte in literal) + '"'
    plain = '"' + "x" * len(literal) + '"'

    def made(text: str, value: int) -> list[str]:
        return shape(c_text(f"do_sys_openat2 (STRCMP({text}, arg2) || ((u64)arg1) == {value}UL)"))

    if number >= 0:
        assert made(quoted, number) == made(plain, 7)


@share(0.1)
@given(sentences(HOSTILE_TEXT, NAMES, st.sampled_from(["%%", " ", ";", "{", "*/", "//", "%%d"])))
def test_the_text_of_a_format_never_reaches_the_c(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if re.search(r"%(?!%)", escaped.replace("%%", "")):
        escaped = escaped.replace("%", "%%")
    made = check(lambda: bp.probe(f'vfs_read "{escaped}%d", arg3'))
    if made is not None:
        assert made == c_text('vfs_read "%d", arg3')


@share(0.1)
@given(sentences(HOSTILE_TEXT, NAMES), NAMES)
def test_options_that_are_text(text: str, name: str) -> None:
    described = bp.probe("vfs_read").description
    check(lambda: type(bp.probe("vfs_read"))(replace(described, filter=text)))
    check(lambda: bp.probe(f"p:{name} vfs_read {name}=$arg1"))


def test_what_is_accepted_of_them_compiles_to_known_helpers() -> None:
    accepted = [
        bp.kprobe("vfs_read", event=name, captures={name: "$arg1"})
        for name in C_WORDS
        if name not in RESERVED_NAMES and name[0] != "_"
    ]
    accepted += [
        bp.kprobe("vfs_read", event=name) for name in keyword.kwlist if name.isidentifier()
    ]
    programs = compile_all(compiled(*accepted))
    assert len(programs) == len(accepted)
    called = set().union(*(helpers(code) for code in programs))
    assert called <= HELPERS.keys()
    assert not called & FORBIDDEN
    assert not any(word in name for word in NEVER for name in HELPERS.values())
