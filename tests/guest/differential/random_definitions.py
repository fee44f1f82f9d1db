"""Definitions made at random from the kernel's grammar, most of them right, some of them not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

NUMBER_TYPES = [f"{letter}{bits}" for letter in "usx" for bits in (8, 16, 32, 64)]
BAD_TYPES = [
    "u",
    "x128",
    "S32",
    "b9@0/8",
    "b4@2/24",
    "b1@x/8",
    "string8",
    "char8",
    "u8[0]",
    "u8[65]",
]
BAD_TYPES += ["u8[", "u8[2]x", "b0@0/8", "b4"]
OFFSETS = ["0", "8", "16", "0x18", "3", "017", "1", "64"]
BAD_OFFSETS = ["08", "0x", "a", "", "0x8000000000000000"]
IMMEDIATES = ["0", "5", "-5", "+5", "0x1f", "017", "-1", "18446744073709551615"]
BAD_IMMEDIATES = ["x", "5a", "08", "--1", "", "18446744073709551616"]
NAMES = ["file", "count", "buf", "pos", "file->f_flags", "file->f_inode->i_ino", "hoge"]
NAMES += ["file->f_path.dentry->d_name.len", "file->nothing", "count->x", "file->f_inode->i_sb"]
LETTERS = "()[]:+-@$%u0x8a_"
BAD_SHARE = 0.06
"""Of each choice."""


class Maker:
    """Makes definitions; the same ``random`` makes the same ones."""

    def __init__(self, random: Random, words: Mapping[str, str], *, has_btf: bool) -> None:
        self._random = random
        self._words = words
        self._registers = words["registers"].split()
        self._has_btf = has_btf

    def definition(self) -> str:
        """One definition, with one value: of several mistakes each parser finds its own first."""
        head = self._one(self._heads())
        value = f"v={self._value(head)}"
        if self._random.random() < BAD_SHARE:
            value = self._misspelt(value)
        return f"{head} {value}"

    def _heads(self) -> list[str]:
        user = f"{self._words['binary']}:{self._words['offset']}"
        inside = f"p vfs_read+{self._words['inside']}"
        return ["p vfs_read", "p vfs_read", "r vfs_read", inside, f"p {user}", f"r {user}"]

    def _value(self, head: str) -> str:
        fetch = self._fetch(head, 0)
        choice = self._random.random()
        if choice < 0.35:
            return fetch
        if choice < 0.35 + BAD_SHARE:
            return f"{fetch}:{self._one(BAD_TYPES)}"
        if choice < 0.5 and "(" in fetch:
            return f"{fetch}:{self._one(NUMBER_TYPES)}[{self._random.randint(1, 5)}]"
        if choice < 0.6:
            size = self._one([8, 16, 32, 64])
            first = self._random.randrange(size)
            width = self._random.randint(1, size - first)
            return f"{fetch}:b{width}@{first}/{size}"
        if choice < 0.7:
            return f"{fetch}:{self._one(['string', 'ustring', 'symbol'])}"
        return f"{fetch}:{self._one(NUMBER_TYPES)}"

    def _fetch(self, head: str, depth: int) -> str:
        makers = [self._register, self._register, self._stack, self._memory, self._immediate]
        makers += [self._variable]
        if depth < 3:
            makers += [self._dereference, self._dereference, self._dereference]
        if self._has_btf and "/" not in head:
            makers += [self._name]
        return self._one(makers)(head, depth)

    def _register(self, head: str, depth: int) -> str:
        return "%none" if self._is_bad() else self._one(self._registers)

    def _stack(self, head: str, depth: int) -> str:
        if self._is_bad():
            return self._one(["$stackx", "$stack99999", "$stack1a"])
        return self._one(["$stack", "$stack0", "$stack1", "$stack5"])

    def _variable(self, head: str, depth: int) -> str:
        if self._is_bad():
            return self._one(["$none", "$arg0", "$arg", "$"])
        return self._one(["$comm", "$retval", "$arg1", "$arg2", "$arg3"])

    def _memory(self, head: str, depth: int) -> str:
        if self._is_bad():
            return self._one(["@0xg", "@+x", "@12ab"])
        if "/" in head:
            return self._one(["@+0", "@+0x1", "@+8"])
        return self._one(["@linux_proc_banner", "@linux_proc_banner+4", "@linux_proc_banner+0x9"])

    def _immediate(self, head: str, depth: int) -> str:
        if self._is_bad():
            return "\\" + self._one(BAD_IMMEDIATES)
        return self._one([f"\\{number}" for number in IMMEDIATES] + ['\\"text"'])

    def _dereference(self, head: str, depth: int) -> str:
        user = self._one(["", "", "u"])
        offset = self._one(BAD_OFFSETS if self._is_bad() else OFFSETS)
        return f"+{user}{offset}({self._fetch(head, depth + 1)})"

    def _name(self, head: str, depth: int) -> str:
        return self._one(NAMES)

    def _misspelt(self, text: str) -> str:
        at = self._random.randrange(text.index("=") + 1, len(text) + 1)
        letter = self._one(LETTERS)
        return self._one([text[:at] + letter + text[at:], text[:at] + text[at + 1 :]])

    def _is_bad(self) -> bool:
        return self._random.random() < BAD_SHARE

    def _one(self, of: Sequence[Any]) -> Any:
        return self._random.choice(of)
