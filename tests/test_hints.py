"""What a hint says to write, written."""

from __future__ import annotations

import pytest

from tests.sample_machine import compiled, complaint


@pytest.mark.parametrize(
    ("wrong", "hint", "right"),
    [
        (r"p vfs_read x=\y", r'\"text"', r'p vfs_read x=\"text"'),
        ("p vfs_read x=8(%si)", "+8(%si)", "p vfs_read x=+8(%si)"),
        ("p vfs_read x=0x10($arg1)", "+0x10($arg1)", "p vfs_read x=+0x10($arg1)"),
        ("p vfs_read arg2", "$arg2", "p vfs_read $arg2"),
        ("p untyped x=arg1", "$arg1", "p untyped x=$arg1"),
        ('p vfs_read if comm =~ "s*"', "~ alone", 'p vfs_read if comm ~ "s*"'),
        ('p vfs_read if comm = "s"', "write ==", 'p vfs_read if comm == "s"'),
        ('p untyped if $arg1 + 4 == "x"', "+0($arg1 + 4)", 'p untyped if +0($arg1 + 4) == "x"'),
        ("p wake if letter == -1", "(s8)", "p wake if (s8)letter == -1"),
        ("p wake l=letter if l < 0", ":s8", "p wake l=letter:s8 if l < 0"),
        ("p vfs_read ppid/2", "(u64)ppid", "p vfs_read (u64)ppid/2"),
        (
            "p untyped $arg1->next",
            "((struct NAME *)$arg1)->next",
            "p untyped ((struct list_head *)$arg1)->next",
        ),
        ("p vfs_read count:u8[4]", "+0(count):u8[4]", "p vfs_read +0(count):u8[4]"),
        ("p vfs_read file.f_inode", "file->f_inode", "p vfs_read file->f_inode"),
        (
            "p vfs_read file->f_path->dentry",
            "file->f_path.dentry",
            "p vfs_read file->f_path.dentry",
        ),
        ("syscall:openat x=$current", "pid tid", "syscall:openat tgid=ppid"),
    ],
)
def test_what_it_says_is_taken(wrong: str, hint: str, right: str) -> None:
    assert hint in (complaint(wrong).hint or "")
    assert compiled(right)


def test_no_argument_is_offered_where_none_has_a_number() -> None:
    assert "$arg1" not in (complaint("tracepoint:sched:sched_switch arg1").hint or "")


def test_where_the_structs_of_a_program_are_is_said() -> None:
    hint = "a program's own structs come with the types of its arguments"
    assert hint in (complaint("uprobe:bash:readline ((struct word_list *)$arg1)->next").hint or "")
    assert hint not in (complaint("p untyped ((struct word_list *)$arg1)->next").hint or "")
