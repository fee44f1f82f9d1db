"""The kernel structs that a program reads: the members it reads, each at its offset, asserted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfprobe.model.scalar import Scalar


_TAKEN = frozenset({
    "asm", "auto", "break", "case", "char", "const", "continue", "default", "do", "double",
    "else", "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register",
    "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef",
    "typeof", "union", "unsigned", "void", "volatile", "while", "linux", "unix",
})  # fmt: skip


class StructRegister:
    """Collects members while programs are printed; prints the declarations before them."""

    def __init__(self) -> None:
        self._members: dict[str, dict[str, tuple[int, Scalar]]] = {}

    def use(self, struct: str, member: str, offset: int, scalar: Scalar) -> tuple[str, str]:
        """Note a member that is read, and give C for the type of its struct, and its name."""
        tag, name = f"k_{_identifier(struct)}", _identifier(member)
        known = self._members.setdefault(tag, {})
        while known.setdefault(name, (offset, scalar)) != (offset, scalar):
            name += "_"
        return f"struct {tag}", name

    def declarations(self) -> list[str]:
        """C that declares each struct and asserts the place of each member."""
        lines: list[str] = []
        for struct, members in sorted(self._members.items()):
            lines += [f"struct {struct} {{", "    union {"]
            ordered = sorted(members.items(), key=lambda item: (item[1][0], item[0]))
            for name, (offset, scalar) in ordered:
                gap = f"u8 {name}__at[{offset}]; " if offset else ""
                lines += ["        struct {"]
                lines += [f"            {gap}{scalar.c_name} {name};"]
                lines += ["        } __attribute__((packed));"]
            lines += ["    };", "};"]
            for name, (offset, _) in ordered:
                lines.append(
                    f"_Static_assert(__builtin_offsetof(struct {struct}, {name}) == {offset}, "
                    f'"{struct}.{name} is not where BTF says");'
                )
            lines.append("")
        return lines


def _identifier(name: str) -> str:
    """Return a name from BTF as C can spell it; types of Rust have more than letters in theirs.

    Of a language with other keywords a member may be called as one of C, or as a macro that is
    always there (``linux``).
    """
    plain = re.sub(r"[^A-Za-z0-9_]+", "__", name).strip("_") or "start"
    return f"m_{plain}" if plain in _TAKEN or plain[0].isdigit() else plain
