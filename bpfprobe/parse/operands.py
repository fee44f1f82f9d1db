"""The operands of an expression: what has a value by itself, and what is reached from it.

The rules ``fetch``, ``view``, ``postfix`` and ``primary`` of `bpfprobe.parse.expression`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.expression import (
    Call,
    CpuList,
    Element,
    Expression,
    FileMemory,
    Global,
    MemberOf,
    Name,
    Number,
    Offset,
    Register,
    StructView,
    Text,
    Variable,
)
from bpfprobe.model.functions import ELSEWHERE, no_function
from bpfprobe.model.noun import replace
from bpfprobe.model.number import number_value
from bpfprobe.model.scalar import scalar_named
from bpfprobe.parse.cursor import Cursor, error_at, negative, number_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.parse.scanner import Token

_INTEGER_WORDS = frozenset(
    ["char", "short", "int", "long", "signed", "unsigned", "size_t", "ssize_t", "pid_t"]
)
_STARTS_OPERAND = {"number", "name", "variable", "string", "character"}


class Operands(Cursor):
    """The rules for operands. What stands in brackets is a `whole` expression again."""

    def whole(self) -> Expression:
        """An expression, as far as it goes."""
        raise NotImplementedError

    def starts_fetch(self, at: int = 0) -> bool:
        """Whether ``+8(``, ``-0x4(`` or ``+u8(`` stands here; ``u8`` reads as one name."""
        number, brace = self.peek(at + 1), self.peek(at + 2)
        if not number.touches or brace.text != "(" or not brace.touches:
            return False
        return number.kind == "number" or (
            number.kind == "name" and _user_offset(number) is not None
        )

    def fetch(self) -> Expression:
        """``+8(x)``: memory at an address."""
        sign, number = self.next(), self.next()
        user = number.kind == "name"
        value = (_user_offset(number) if user else number_of(number)) or 0
        if value >= 1 << 63:
            raise error_at(
                number.span, "BAD_DEREF_OFFS", "the offset is too large", "it is a signed number"
            )
        opened = self.next()
        base = self.whole()
        closed = self.close(opened, "DEREF_OPEN_BRACE")
        offset = -value if sign.text == "-" else value
        return Offset(offset, base, user, sign.span.to(closed.span))

    def view_width(self) -> int:
        """How many tokens of ``(STRUCT)`` or ``(STRUCT,a.b)`` in front of an operand follow."""
        at, first = 2, self.peek(1)
        if self.token.text != "(" or first.kind != "name" or names_number([first.text]):
            return 0
        while self.peek(at).text in (",", ".", "->") and self.peek(at + 1).kind == "name":
            at += 2
        if self.peek(at).text != ")" or (at > 2 and self.peek(2).text != ","):
            return 0
        follow = self.peek(at + 1)
        is_operand = follow.kind in _STARTS_OPERAND or follow.text in ("(", "@", "\\")
        is_fetch = follow.text in ("+", "-") and self.starts_fetch(at + 1)
        is_register = follow.text == "%" and follow.touches
        return at + 1 if is_operand or is_fetch or is_register else 0

    def _view(self, width: int) -> Expression:
        tokens = [self.next() for _ in range(width)]
        struct, members = tokens[1], tokens[3:-1:2]
        for token in tokens[4:-1:2]:
            if token.text == "->":
                raise error_at(
                    token.span,
                    "TYPECAST_BAD_ARROW",
                    "the member must be a part of the struct itself",
                    "members of members are reached with a dot",
                )
        start = self.token
        if start.text in ("+", "-"):
            operand = self.fetch()
        else:
            operand = self._primary()
            if isinstance(operand, Global) and operand.offset and start.text == "@":
                raise error_at(
                    start.span, "TYPECAST_SYM_OFFSET", "an offset needs brackets", "(@SYM+OFFSET)->"
                )
        if self.token.text != "->":
            raise spec_error(
                "TYPECAST_REQ_FIELD",
                "a member is missing behind the struct",
                self.token.span,
                "for example (task_struct)$arg1->comm",
            )
        span = tokens[0].span.to(operand.span)
        placed = members[0].span.to(members[-1].span) if members else struct.span
        names = tuple(token.text for token in members)
        return StructView(struct.text, names, operand, span, struct.span, placed)

    def postfix(self) -> Expression:
        """An operand with the members and elements that are reached from it."""
        width = self.view_width()
        base = self._view(width) if width else self._primary()
        while True:
            if (operator := self.take("->", ".")) is not None:
                name = self.next()
                if name.kind != "name":
                    raise error_at(
                        name.span, "NO_BTF_FIELD", f"a member's name belongs after {operator.text}"
                    )
                span = base.span.to(name.span)
                base = MemberOf(base, name.text, operator.text == "->", span, name.span)
            elif (opened := self.take("[")) is not None:
                index = self.next()
                if index.kind != "number":
                    raise error_at(index.span, "BAD_ARRAY_NUM", "an index is a plain number")
                number = number_of(index)
                if number >= 1 << 31:
                    raise error_at(index.span, "ARRAY_TOO_BIG", "no array is that long")
                closed = self.close(opened, "ARRAY_NO_CLOSE", "]")
                base = Element(base, number, base.span.to(closed.span))
            else:
                return base

    def _primary(self) -> Expression:
        token = self.next()
        if token.kind == "number":
            return self._plain_number(token)
        if token.kind == "character":
            return Number(token.value[0], token.span, is_character=True)
        if token.kind == "cpus":
            return _cpu_list(token)
        if token.kind == "string":
            return Text(token.value, token.span)
        if token.kind == "variable":
            if token.text == "$":
                raise error_at(token.span, "BAD_VAR", "a name belongs after $")
            star = self.token
            if token.text == "$arg" and star.text == "*" and star.touches:
                self._at += 1
                return Variable("arg*", token.span.to(star.span))
            return Variable(token.text[1:], token.span)
        if token.kind == "name":
            return self._call(token) if self.token.text == "(" else Name(token.text, token.span)
        rule = {"%": self._register, "@": self._global, "\\": self._immediate, "(": self._group}
        if token.kind == "operator" and token.text in rule:
            return rule[token.text](token)
        if token.kind == "end":
            raise error_at(token.span, "NO_ARG_BODY", "a value is missing here")
        if token.text == "+":
            raise error_at(
                token.span,
                "DEREF_NEED_BRACE" if self.token.kind == "number" else "BAD_FETCH_ARG",
                "+ in front of a value reads memory, and this is not how",
                "+OFFSET(ADDRESS), for example +8(%si) or +u0($arg2)",
            )
        if token.text == "&":
            raise error_at(
                token.span,
                "BAD_FETCH_ARG",
                "& takes no address here",
                "members of a struct inside a struct are reached with a dot",
            )
        raise error_at(token.span, "BAD_FETCH_ARG", f"a value was expected, not {token.text}")

    def _plain_number(self, token: Token) -> Expression:
        follow = self.token
        if follow.kind == "name" and follow.touches:
            span = token.span.to(follow.span)
            hint = "12, 0x1f and 017 (octal) are"
            raise error_at(span, "BAD_IMM", f"{span.text} is not a number", hint)
        return Number(number_of(token), token.span)

    def _register(self, percent: Token) -> Expression:
        name = self.next()
        if name.kind not in ("name", "number") or not name.touches:
            raise error_at(percent.span, "BAD_REG_NAME", "a register's name belongs after %")
        return Register(name.text, percent.span.to(name.span))

    def _global(self, at_sign: Token) -> Expression:
        place = self.next()
        if place.kind == "number":
            return Global("", number_of(place), at_sign.span.to(place.span))
        if place.text == "+" and place.touches and self.token.kind == "number":
            number = self.next()
            return FileMemory(number_of(number), at_sign.span.to(number.span))
        if place.kind != "name":
            raise error_at(place.span, "BAD_MEM_ADDR", "a symbol or an address belongs after @")
        span, offset = at_sign.span.to(place.span), 0
        while self.token.text == "." and self.peek(1).kind in ("name", "number"):  # sym.isra.0
            self._at += 1
            span = span.to(self.next().span)
        symbol = span.text[1:]
        sign, number = self.peek(0), self.peek(1)
        if sign.text in ("+", "-") and sign.touches and number.kind == "number" and number.touches:
            self._at += 2
            offset = number_of(number) if sign.text == "+" else -number_of(number)
            span = span.to(number.span)
        return Global(symbol, offset, span)

    def _immediate(self, backslash: Token) -> Expression:
        sign = self.take("-", "+")
        token = self.next()
        span = backslash.span.to(token.span)
        if token.kind == "string" and sign is None:
            return Text(token.value, span)
        if token.kind != "number":
            raise error_at(span, "BAD_IMM", "a number or a quoted text belongs after \\")
        number = Number(number_of(token), span)
        return negative(number, span) if sign is not None and sign.text == "-" else number

    def _group(self, opened: Token) -> Expression:
        inner = self.whole()
        return replace(inner, span=opened.span.to(self.close(opened, "TOO_MANY_OPEN").span))

    def _call(self, name: Token) -> Expression:
        if name.text in ELSEWHERE:  # what is in its brackets need not be an expression
            raise no_function(name.text, name.span)
        opened = self.next()
        arguments = [self.whole()]
        while self.take(",") is not None:
            arguments.append(self.whole())
        closed = self.close(opened, "TOO_MANY_OPEN")
        return Call(name.text, tuple(arguments), name.span.to(closed.span), name.span)


def _cpu_list(token: Token) -> Expression:
    if not token.text.endswith("}"):
        raise error_at(
            token.span, "MISSING_BRACE_CLOSE", "the list of CPUs is not closed", "add }: CPUS{0-3}"
        )
    return CpuList(token.text[len("CPUS{") : -1], token.span)


def names_number(words: Iterable[str]) -> bool:
    """Whether these can only be a type: no variable of C has such a name."""
    return all(w in _INTEGER_WORDS or scalar_named(w.removeprefix("__")) for w in words)


def _user_offset(token: Token) -> int | None:
    digits = token.text[1:]
    if token.text[0] != "u" or not digits or not digits[0].isdigit():
        return None
    try:
        return number_value(digits)
    except ValueError:
        return None
