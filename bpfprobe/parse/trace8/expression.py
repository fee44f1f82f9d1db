r"""The C expressions of trace(8), as expressions of ours: none of their text gets into the C.

::

    expression = C's operators: || && | ^ & == != < <= > >= << >> + - * / %, unary ! ~ - + *, casts
    postfix    = primary { ("->" | ".") NAME | "[" NUMBER "]" }
    primary    = NUMBER | CHARACTER | "argN" ["@user"] | "retval" | NAME of the signature
               | "args->" FIELD | "ctx->" REGISTER | "STRCMP" "(" STRING "," expression ")"
               | "$uid" | "$gid" | "$pid" | "$tgid" | "$cpu" | "$task" | "(" expression ")"

Operators bind as in C: ``arg1 & 4 == 4`` is ``arg1 & (4 == 4)`` here, unlike in our own filters.
``$pid`` is the thread and ``$tgid`` the process, as the kernel calls them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.expression import (
    Binary,
    Cast,
    Element,
    Expression,
    MemberOf,
    Name,
    Number,
    Register,
    Text,
    Unary,
    Variable,
)
from bpfprobe.model.noun import replace
from bpfprobe.model.number import number_value
from bpfprobe.model.regex import regex
from bpfprobe.model.scalar import scalar_named
from bpfprobe.parse.expression import MAX_DEPTH
from bpfprobe.parse.height import check_height
from bpfprobe.parse.scanner import Token, scan
from bpfprobe.parse.trace8.bytes import same_bytes
from bpfprobe.parse.trace8.signature import INTEGER_WORDS, QUALIFIERS, CType, parse_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfprobe.model.span import SourceText, Span
    from bpfprobe.parse.trace8.signature import NamedArgument

_PRECEDENCE = (
    ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", "<=", ">", ">="), ("<<", ">>"),
    ("+", "-"), ("*", "/", "%"),
)  # fmt: skip
_TASK = {"uid": "uid", "gid": "gid", "pid": "tid", "tgid": "pid", "cpu": "cpu", "task": "current"}
_CONSTANTS = {"NULL": 0, "false": 0, "true": 1}
_NUMBER_TYPES = INTEGER_WORDS | {
    "bool", "size_t", "ssize_t", "pid_t", "uid_t", "gid_t", "loff_t", "off_t", "umode_t", "gfp_t",
    "dev_t", "sector_t",
}  # fmt: skip
_SUFFIX = regex(r"[uU]?[lL]{0,2}|[lL]{1,2}[uU]")
_NAMES_HINT = (
    "there are arg1 to arg6, retval, args->FIELD, ctx->REGISTER, the names of a signature, "
    "STRCMP, and $uid $gid $pid $tgid $cpu $task"
)


class ExpressionParser:
    """Reads expressions, one after another, from a stretch of a description."""

    def __init__(
        self,
        source: SourceText,
        start: int,
        end: int,
        named: Mapping[str, NamedArgument],
        *,
        is_tracepoint: bool,
        binary_strings: bool,
    ) -> None:
        self._tokens = scan(source, start, end)
        self._at = 0
        self._depth = 0
        self._named = named
        self._is_tracepoint = is_tracepoint
        self._binary_strings = binary_strings

    def expression(self) -> Expression:
        """The next expression. Raises `SpecError`."""
        found = self._binary(0)
        check_height(found)
        return found

    def text(self) -> Expression:
        """The next expression, as something that a string is read from."""
        return as_text(self.expression())

    def at_end(self) -> bool:
        """Whether all has been read."""
        return self._token.kind == "end"

    def take_comma(self) -> bool:
        """Step over a comma, if one stands here."""
        return self._take(",") is not None

    def expect_end(self) -> None:
        """Raise unless all has been read."""
        token = self._token
        if token.kind == "end":
            return
        if token.text == "=":
            raise _at(token.span, "BAD_OPERATOR", "= does not compare, it assigns", "write ==")
        if token.text == ")":
            raise _at(token.span, "TOO_MANY_CLOSE", "this ) closes nothing", "remove it")
        raise _at(
            token.span,
            "BAD_EXPRESSION",
            f"{token.text} has no place here",
            "expressions only compute and compare: nothing is assigned, called or chosen by ?:",
        )

    def _binary(self, level: int) -> Expression:
        if level == len(_PRECEDENCE):
            return self._unary()
        left = self._binary(level + 1)
        while (operator := self._take(*_PRECEDENCE[level])) is not None:
            right = self._binary(level + 1)
            span = left.span.to(right.span)
            left = Binary(operator.text, left, right, span, operator.span)
        return left

    def _unary(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _at(self._token.span, "TOO_MANY_NESTED", f"this nests more than {MAX_DEPTH} deep")
        found = self._unary_body()
        self._depth -= 1
        return found

    def _unary_body(self) -> Expression:
        token = self._token
        if (operator := self._take("-", "~", "!", "*", "+")) is not None:
            operand = self._unary()
            span = operator.span.to(operand.span)
            if operator.text == "+":
                return replace(operand, span=span)
            if operator.text == "-" and isinstance(operand, Number) and operand.value <= 1 << 63:
                return Number(-operand.value, span)
            return Unary(operator.text, operand, span)
        if token.text == "&" and token.kind == "operator":
            raise _at(
                token.span,
                "BAD_EXPRESSION",
                "& takes no address here",
                "a struct or an array inside a struct is named as it is, without &",
            )
        if token.text == "(" and (width := self._cast_width()):
            opened, *words, _ = [self._next() for _ in range(width)]
            kind = parse_type(words)
            return cast(kind, self._unary(), opened.span)
        return self._postfix(self._primary())

    def _cast_width(self) -> int:
        """How many tokens the cast that stands here has, 0 if this bracket opens another thing."""
        at, words = 1, []
        while self._peek(at).kind == "name":
            words.append(self._peek(at).text)
            at += 1
        while self._peek(at).text == "*" or self._peek(at).text in QUALIFIERS:
            words.append(self._peek(at).text)
            at += 1
        if not words or self._peek(at).text != ")" or words[0] in self._named:
            return 0
        is_type = words[-1] == "*" or len(words) > 1 or words[0] in _NUMBER_TYPES
        return at + 1 if is_type or scalar_named(words[0].removeprefix("__")) else 0

    def _postfix(self, base: Expression) -> Expression:
        while True:
            if (operator := self._take("->", ".")) is not None:
                name = self._next()
                if name.kind != "name":
                    raise _at(name.span, "NO_BTF_FIELD", f"a name belongs after {operator.text}")
                span, arrow = base.span.to(name.span), operator.text == "->"
                base = MemberOf(base, name.text, arrow, span, name.span)
            elif (opened := self._take("[")) is not None:
                index = self._next()
                if index.kind != "number" or self._take("]") is None:
                    raise _at(
                        opened.span.to(index.span),
                        "BAD_ARRAY_NUM",
                        "an index is a plain number in brackets",
                        "f->tags[2]",
                    )
                base = Element(base, self._number(index), base.span.to(index.span))
            else:
                return base

    def _primary(self) -> Expression:
        token = self._next()
        if token.kind == "number":
            return Number(self._number(token), token.span)
        if token.kind == "character":
            return Number(token.value[0], token.span)
        if token.kind == "variable":
            meaning = _TASK.get(token.text[1:])
            if meaning is None:
                raise _at(token.span, "BAD_VAR", f"{token.text} is not known", _NAMES_HINT)
            return Variable(meaning, token.span)
        if token.kind == "name":
            return self._name(token)
        if token.text == "(":
            inner = self._binary(0)
            closed = self._take(")")
            if closed is None:
                raise _at(token.span, "TOO_MANY_OPEN", "this ( is not closed", "add )")
            return replace(inner, span=token.span.to(closed.span))
        if token.kind == "string":
            raise _at(
                token.span,
                "BAD_EXPRESSION",
                "a string can only stand in STRCMP",
                'STRCMP("text", arg1)',
            )
        if token.kind == "end":
            raise _at(token.span, "NO_ARG_BODY", "a value is missing here")
        raise _at(token.span, "BAD_EXPRESSION", f"a value was expected, not {token.text}")

    def _name(self, token: Token) -> Expression:
        if self._token.text == "(" and self._token.kind == "operator":
            if token.text == "STRCMP":
                return self._string_comparison(token)
            raise _at(
                token.span,
                "BAD_EXPRESSION",
                "functions cannot be called",
                'STRCMP("text", value) compares strings; a filter of ours matches globs too: '
                "'kprobe:FUNCTION if comm ~ \"a*\"'",
            )
        if token.text in self._named:
            return named_argument(self._named[token.text], token.span)
        if token.text in _CONSTANTS:
            return Number(_CONSTANTS[token.text], token.span)
        if token.text == "retval" or re.fullmatch(r"arg[0-9]+", token.text):
            return self._numbered(token)
        if token.text in ("args", "ctx") and self._take("->") is not None:
            return self._of_context(token)
        raise _at(token.span, "NO_BTFARG", f"{token.text} is not a name here", _NAMES_HINT)

    def _numbered(self, token: Token) -> Expression:
        if self._is_tracepoint:
            raise _at(
                token.span,
                "NOFENTRY_ARGS",
                f"a tracepoint has no {token.text}",
                "its fields are args->NAME; bpfprobe list -v 'tracepoint:CATEGORY:NAME' shows them",
            )
        value = Variable(token.text, token.span)
        at_sign = self._take("@")
        if at_sign is None:
            return value
        space = self._next()
        if space.text != "user" or token.text == "retval":
            raise _at(
                at_sign.span.to(space.span),
                "BAD_EXPRESSION",
                "only argN@user is known",
                "arg2@user",
            )
        span = token.span.to(space.span)
        return Cast("char", 1, False, value, span, space.span, user=True)

    def _of_context(self, token: Token) -> Expression:
        member = self._next()
        if member.kind != "name":
            raise _at(member.span, "NO_BTF_FIELD", "a name belongs after ->")
        span = token.span.to(member.span)
        if token.text == "args":
            if not self._is_tracepoint:
                raise _at(span, "NO_BTFARG", "args belongs to tracepoints", "arg1, arg2, ...")
            return MemberOf(Name("args", token.span), member.text, True, span, member.span)
        return Register(member.text, span)

    def _string_comparison(self, name: Token) -> Expression:
        opened = self._next()
        literal = self._next()
        if literal.kind != "string" or self._take(",") is None:
            raise _at(
                name.span.to(literal.span),
                "BAD_EXPRESSION",
                "STRCMP takes a string in double quotes, then a value",
                'STRCMP("text", arg1)',
            )
        value = self._binary(0)
        closed = self._take(")")
        if closed is None:
            raise _at(opened.span, "TOO_MANY_OPEN", "this ( is not closed", "add )")
        span = name.span.to(closed.span)
        if self._binary_strings:
            return replace(same_bytes(literal, value), span=span)
        text = Text(literal.value, literal.span)
        return Binary("==", as_text(value), text, span, name.span)

    def _number(self, token: Token) -> int:
        suffix = self._token
        if suffix.kind == "name" and suffix.touches and _SUFFIX.fullmatch(suffix.text):
            self._at += 1
        try:
            value = number_value(token.text)
        except ValueError:
            raise _at(token.span, "BAD_IMM", f"{token.text} is not an octal number") from None
        if value >= 1 << 64:
            raise _at(token.span, "BAD_IMM", "the number does not fit in 64 bits")
        return value

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _peek(self, ahead: int) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _next(self) -> Token:
        token = self._token
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _take(self, *texts: str) -> Token | None:
        if self._token.kind == "operator" and self._token.text in texts:
            return self._next()
        return None


def named_argument(argument: NamedArgument, span: Span) -> Expression:
    """An argument by its name in the signature, seen as the type that stands there.

    Of a number whose type is not C's own, the kernel's types say what it is.
    """
    value = Variable(f"arg{argument.number}", span)
    kind = argument.type
    known = set(kind.name.split()) <= _NUMBER_TYPES or scalar_named(kind.name.removeprefix("__"))
    if not kind.depth and not known:
        return value
    return replace(cast(kind, value, span), span=span)


def cast(kind: CType, operand: Expression, start: Span) -> Cast:
    """``(TYPE)operand``."""
    span = start.to(operand.span)
    return Cast(kind.name, kind.depth, kind.is_struct, operand, span, kind.span, user=kind.user)


def as_text(value: Expression) -> Expression:
    """The value as the address of a string, where it does not say itself what it points to."""
    if isinstance(value, (MemberOf, Element, Name)) or (isinstance(value, Cast) and value.depth):
        return value
    return Cast("char", 1, False, value, value.span, value.span)


def _at(span: Span, code: str, message: str, hint: str | None = None) -> SpecError:
    return spec_error(code, message, span, hint)
