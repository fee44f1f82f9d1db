"""Whatever is given to the parser, a spec comes out or a SpecError."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.parse.any_dialect import with_place
from bpfprobe.parse.expression import parse_expression
from bpfprobe.pipeline import describe
from tests.sample_machine import MACHINE

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)
_PIECES = (
    "p r p:x r:y kprobe: uprobe: tracepoint: syscall: vfs_read do_sys_openat2 /bin/bash:main "
    "untyped sched:sched_switch %return file->f_inode count filename how->flags $retval $arg1 "
    "$stack %di comm pid argv duration entry( +0( +u8( -4( ( ) [ ] 1 -1 0x10 08 9999999999999999 "
    '"text" "*x*" "[a-z" "un \\" \\n \\42 \\"x" @sym @0xffff @jiffies_like (u32) (struct file *) '
    "(struct nothing *) == != < <= ~ && || ! & | ^ + - * / % << >> . -> , : = :u32 :string "
    ":x8[16] :s64[ :ustring x= y=pid if # $ \\ ' \t \n \0 \ud800 \udcff é ٣"
)
_TRACE8_PIECES = (
    "p:: r:: ::vfs_read c:malloc r:bash:readline t:sched:sched_switch t:lab:shapes u:a:b "
    "sys_openat vfs_read do_sys_openat2 untyped +0x10 (struct file *f) (int a,char __user *b) ( ) "
    "(arg1 arg2@user retval args->prev_pid args->prev_comm ctx->di $task->mm $pid $uid STRCMP( "
    '"x" , "%s" "%d %K %U%c %5.3s %% %hd" "%d" arg3 == != && || ! ~ & | ^ << >> + - * / % ? ; { } '
    "1 0x10 08 'a' (int) (unsigned long) (struct nothing *) -> . [1] [x] f a b sizeof( @user const "
    "= \\ \n \0 \ud800 \udcff é"
)
PIECES = st.sampled_from([*_PIECES.split(" "), *_TRACE8_PIECES.split(" ")])
SENTENCES = st.lists(st.tuples(PIECES, st.sampled_from(["", " "])), max_size=25).map(
    lambda parts: "".join(piece + space for piece, space in parts)
)


def said(error: SpecError) -> None:
    """Every complaint can be printed, and points into its text."""
    assert str(error)
    for diagnostic in error.diagnostics:
        assert diagnostic.code.isupper()
        assert diagnostic.span is not None
        span = diagnostic.span
        assert 0 <= span.start <= span.end <= len(span.source.text)


@settings(max_examples=400)
@given(ANY_TEXT | SENTENCES)
@example("p f " + "(" * 2000)
@example("p f " + "-" * 2000 + "x")
@example("p f " + "a->" * 1300 + "b")
@example("p f x=" + "9" * 4000)
@example("p f x=+" + "9" * 3000 + "(a)")
@example("p f x=a:x8[" + "9" * 3000 + "]")
@example("uprobe:/bin/x:0")
def test_a_definition(text: str) -> None:
    try:
        spec = bp.probe(text).spec
    except SpecError as error:
        said(error)
    else:
        assert spec.name
        assert str(spec) in (text, with_place(SourceText(text)).text)


@settings(max_examples=400)
@given(ANY_TEXT | SENTENCES)
def test_an_expression(text: str) -> None:
    try:
        expression = parse_expression(SourceText(text))
    except SpecError as error:
        said(error)
    else:
        assert expression.span.text.strip() in text


@settings(max_examples=400)
@given(st.sampled_from(["p vfs_read ", "r do_sys_openat2 ", "uprobe:bash:main ", "syscall:openat ",
                        "tracepoint:lab:shapes ", "p untyped x=", "vfs_read", "vfs_read (",
                        'p::vfs_read "%d %s",', "untyped("]), SENTENCES)  # fmt: skip
@example("p untyped x=", "((((((((((((pid==1)==1)==1)==1)==1)==1)==1)==1)==1)==1)==1)==1)")
@example("p untyped x=", "$stack" + "9" * 3000)
@example("p untyped x=", "~0xffffffffffffffff")
def test_all_the_way_to_c(head: str, rest: str) -> None:
    try:
        made = describe([bp.probe(head + rest)], MACHINE)
    except SpecError as error:
        said(error)
    else:
        assert made.source.text.isascii()


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_calls(place: str, capture: str, condition: str) -> None:
    for make in (bp.kprobe, bp.kretprobe, bp.tracepoint, bp.syscall):
        try:
            make(place, x=capture, filter=condition, event=place)
        except SpecError as error:
            said(error)
    for keywords in ({"sym": capture}, {"offset": 4}, {"address": 0}):
        try:
            bp.uprobe(place, **keywords)  # type: ignore[arg-type]
        except SpecError as error:
            said(error)
        except bp.OptionError as error:
            assert "sym= takes a name" in str(error)  # noqa: PT017 - only some texts do it
