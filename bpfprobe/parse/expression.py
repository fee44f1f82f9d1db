r"""The expression grammar, for captures and filters alike.

::

    expression = or
    or         = and { "||" and }
    and        = comparison { "&&" comparison }
    comparison = "!" comparison
               | bits [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "~") bits ]
               | field ".ustring" ("==" | "!=" | "~") STRING
               | field ".function" ("==" | "!=") (SYMBOL | NUMBER)
               | field ("==" | "!=" | "&") "CPUS{" cpulist "}"
    bits       = xor { "|" xor }
    xor        = mask { "^" mask }
    mask       = shift { "&" shift }
    shift      = sum { ("<<" | ">>") sum }
    sum        = product { ("+" | "-") product }
    product    = unary { ("*" | "/" | "%") unary }
    unary      = ("-" | "~" | "!" | "*") unary | fetch | cast unary | postfix
    fetch      = ("+" | "-") ["u"] NUMBER "(" expression ")"
    cast       = "(" ["struct" | "union"] NAME { "*" } ")"
    postfix    = primary { ("->" | ".") NAME | "[" NUMBER "]" }
    primary    = NUMBER | CHARACTER | STRING | NAME | NAME "(" expression { "," expression } ")"
               | "$" NAME | "%" NAME | "@" (NAME [("+" | "-") NUMBER] | NUMBER)
               | "\" NUMBER | "\" STRING | "(" expression ")"

``fetch``, ``$``, ``%``, ``@`` and ``\`` are the kernel's fetch arguments
(Documentation/trace/kprobetrace.rst), and a kernel event filter
(Documentation/trace/events.rst) is an expression of this grammar. ``&`` binds tighter than a
comparison, unlike in C: ``flags & 4 == 4`` means what it looks like. A ``!`` in front of a
comparison is the opposite of all of it, as in the kernel's filters. ``~`` between two operands
matches a glob, or with a ``!`` as its first character all that does not match. A comparison does
not chain.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.expression import (
    Binary,
    Call,
    Cast,
    CpuList,
    Element,
    Expression,
    Global,
    MemberOf,
    Name,
    Number,
    Offset,
    Register,
    Text,
    Unary,
    Variable,
)
from bpfprobe.model.scalar import scalar_named
from bpfprobe.parse.height import check_height
from bpfprobe.parse.scanner import Token, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bpfprobe.model.span import SourceText, Span

MAX_DEPTH = 64
"""How deep an expression may nest; the kernel's own limit for fetch arguments is 8."""

_LEFT_ASSOCIATIVE: tuple[tuple[str, ...], ...] = (
    ("|",),
    ("^",),
    ("&",),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
_INTEGER_WORDS = frozenset(
    ["char", "short", "int", "long", "signed", "unsigned", "size_t", "ssize_t", "pid_t"]
)
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "~")
_STARTS_OPERAND = {"number", "name", "variable", "string", "character"}


def parse_expression(source: SourceText, start: int = 0, end: int | None = None) -> Expression:
    """Parse a stretch of text that must be one whole expression. Raises `SpecError`."""
    parser = _Parser(scan(source, start, end))
    expression = parser.any_of_or()
    parser.expect_end()
    check_height(expression)
    return expression


def number_value(text: str) -> int:
    """The value of a number as the kernel reads it: 0x for hexadecimal, a leading 0 for octal."""
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    if len(text) > 1 and text[0] == "0":
        return int(text, 8)
    return int(text)


class _Parser:
    """A recursive descent over a list of tokens; a method for each rule of the grammar."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def any_of_or(self) -> Expression:
        return self._nested(self._any_of_or)

    def _any_of_or(self) -> Expression:
        left = self._all_of_and()
        while (operator := self._take("||")) is not None:
            left = self._binary(operator, left, self._all_of_and())
        return left

    def expect_end(self) -> None:
        token = self._token
        if token.kind == "end":
            return
        if token.text == ")":
            raise self._here("TOO_MANY_CLOSE", "this ) closes nothing", "remove it, or open a (")
        if token.text == "=":
            raise self._here("BAD_OPERATOR", "= does not compare", "write ==")
        if token.text == "!" and self._peek(1).text == "~":
            raise self._here("BAD_OPERATOR", "there is no !~", 'put a ! in front: !(path ~ "x*")')
        if token.text in _COMPARISONS:
            raise self._here("BAD_OPERATOR", "comparisons do not chain", "join two with &&")
        raise self._here("BAD_FETCH_ARG", f"an operator was expected before {token.text}")

    def _all_of_and(self) -> Expression:
        left = self._comparison()
        while (operator := self._take("&&")) is not None:
            left = self._binary(operator, left, self._comparison())
        return left

    def _comparison(self) -> Expression:
        if self._token.kind == "operator" and self._token.text == "!":
            return self._nested(self._opposite)
        left = self._arithmetic(0)
        operator = self._take(*_COMPARISONS)
        if operator is None:
            return left
        of_function = isinstance(left, MemberOf) and left.name == "function" and not left.arrow
        if of_function and self._token.kind == "name":
            return self._binary(operator, left, self._symbol())
        return self._binary(operator, left, self._arithmetic(0))

    def _opposite(self) -> Expression:
        bang = self._next()
        operand = self._comparison()
        return Unary("!", operand, bang.span.to(operand.span))

    def _symbol(self) -> Expression:
        """The name of a function, which may hold dots: ``free_pages.part.0``."""
        span = self._next().span
        while self._token.touches and self._token.kind in ("name", "number", "operator"):
            if self._token.kind == "operator" and self._token.text != ".":
                break
            span = span.to(self._next().span)
        return Name(span.text, span)

    def _arithmetic(self, level: int) -> Expression:
        if level == len(_LEFT_ASSOCIATIVE):
            return self._unary()
        left = self._arithmetic(level + 1)
        while (operator := self._take(*_LEFT_ASSOCIATIVE[level])) is not None:
            left = self._binary(operator, left, self._arithmetic(level + 1))
        return left

    def _unary(self) -> Expression:
        return self._nested(self._unary_body)

    def _nested(self, rule: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._here(
                "TOO_MANY_NESTED", f"this nests more than {MAX_DEPTH} deep", "split the expression"
            )
        expression = rule()
        self._depth -= 1
        return expression

    def _unary_body(self) -> Expression:
        token = self._token
        if token.text in ("+", "-") and self._starts_fetch():
            return self._fetch()
        if token.kind == "operator" and token.text in ("-", "~", "!", "*"):
            self._at += 1
            operand = self._unary()
            if token.text == "-" and isinstance(operand, Number):
                return _negative(operand, token.span.to(operand.span))
            return Unary(token.text, operand, token.span.to(operand.span))
        if token.text == "(" and (width := self._cast_width()):
            return self._cast(width)
        return self._postfix()

    def _starts_fetch(self) -> bool:
        """Whether ``+8(``, ``-0x4(`` or ``+u8(`` stands here; ``u8`` reads as one name."""
        number, brace = self._peek(1), self._peek(2)
        if not number.touches or brace.text != "(" or not brace.touches:
            return False
        return number.kind == "number" or (
            number.kind == "name" and _user_offset(number) is not None
        )

    def _fetch(self) -> Expression:
        sign, number = self._next(), self._next()
        user = number.kind == "name"
        value = (_user_offset(number) if user else _number(number)) or 0
        if value >= 1 << 63:
            raise _at(
                number.span, "BAD_DEREF_OFFS", "the offset is too large", "it is a signed number"
            )
        opened = self._next()
        base = self.any_of_or()
        closed = self._close(opened, "DEREF_OPEN_BRACE")
        offset = -value if sign.text == "-" else value
        return Offset(offset, base, user, sign.span.to(closed.span))

    def _cast_width(self) -> int:
        """How many tokens of a cast follow, 0 if this parenthesis opens something else."""
        at = 1
        is_struct = self._peek(at).text in ("struct", "union")
        at += is_struct
        if self._peek(at).kind != "name":
            return 0
        first = at
        at += 1
        while self._peek(at).kind == "name":  # unsigned long
            at += 1
        is_number = _names_number(self._peek(n).text for n in range(first, at))
        stars = 0
        while self._peek(at).text == "*":
            at, stars = at + 1, stars + 1
        if self._peek(at).text != ")":
            return 0
        follow = self._peek(at + 1)
        starts_operand = follow.kind in _STARTS_OPERAND or follow.text in ("(", "@", "\\")
        if is_struct or stars or is_number:
            return at + 1
        return at + 1 if starts_operand or (follow.text == "%" and follow.touches) else 0

    def _cast(self, width: int) -> Expression:
        tokens = [self._next() for _ in range(width)]
        inner = tokens[1:-1]
        words = [token.text for token in inner if token.kind == "name"]
        is_struct = words[0] in ("struct", "union")
        name = " ".join(words[1:] if is_struct else words)
        depth = sum(token.text == "*" for token in inner)
        operand = self._unary()
        span = tokens[0].span.to(operand.span)
        type_span = inner[0].span.to(inner[-1].span)
        return Cast(name, depth, is_struct, operand, span, type_span)

    def _postfix(self) -> Expression:
        base = self._primary()
        while True:
            if (operator := self._take("->", ".")) is not None:
                name = self._next()
                if name.kind != "name":
                    raise _at(
                        name.span, "NO_BTF_FIELD", f"a member's name belongs after {operator.text}"
                    )
                span = _span(base).to(name.span)
                base = MemberOf(base, name.text, operator.text == "->", span, name.span)
            elif (opened := self._take("[")) is not None:
                index = self._next()
                if index.kind != "number":
                    raise _at(index.span, "BAD_ARRAY_NUM", "an index is a plain number")
                number = _number(index)
                if number >= 1 << 31:
                    raise _at(index.span, "ARRAY_TOO_BIG", "no array is that long")
                closed = self._close(opened, "ARRAY_NO_CLOSE", "]")
                base = Element(base, number, _span(base).to(closed.span))
            else:
                return base

    def _primary(self) -> Expression:
        token = self._next()
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
                raise _at(token.span, "BAD_VAR", "a name belongs after $")
            return Variable(token.text[1:], token.span)
        if token.kind == "name":
            return self._call(token) if self._token.text == "(" else Name(token.text, token.span)
        rule = {"%": self._register, "@": self._global, "\\": self._immediate, "(": self._group}
        if token.kind == "operator" and token.text in rule:
            return rule[token.text](token)
        if token.kind == "end":
            raise _at(token.span, "NO_ARG_BODY", "a value is missing here")
        if token.text == "+":
            raise _at(
                token.span,
                "DEREF_NEED_BRACE" if self._token.kind == "number" else "BAD_FETCH_ARG",
                "+ in front of a value reads memory, and this is not how",
                "+OFFSET(ADDRESS), for example +8(%si) or +u0($arg2)",
            )
        if token.text == "&":
            raise _at(
                token.span,
                "BAD_FETCH_ARG",
                "& takes no address here",
                "members of a struct inside a struct are reached with a dot",
            )
        raise _at(token.span, "BAD_FETCH_ARG", f"a value was expected, not {token.text}")

    def _plain_number(self, token: Token) -> Expression:
        follow = self._token
        if follow.kind == "name" and follow.touches:
            span = token.span.to(follow.span)
            raise _at(span, "BAD_IMM", f"{span.text} is no number", "12, 0x1f and 017 (octal) are")
        return Number(_number(token), token.span)

    def _register(self, percent: Token) -> Expression:
        name = self._next()
        if name.kind not in ("name", "number") or not name.touches:
            raise _at(percent.span, "BAD_REG_NAME", "a register's name belongs after %")
        return Register(name.text, percent.span.to(name.span))

    def _global(self, at_sign: Token) -> Expression:
        place = self._next()
        if place.kind == "number":
            return Global("", _number(place), at_sign.span.to(place.span))
        if place.kind != "name":
            raise _at(place.span, "BAD_MEM_ADDR", "a symbol or an address belongs after @")
        span, offset = at_sign.span.to(place.span), 0
        sign, number = self._peek(0), self._peek(1)
        if sign.text in ("+", "-") and sign.touches and number.kind == "number" and number.touches:
            self._at += 2
            offset = _number(number) if sign.text == "+" else -_number(number)
            span = span.to(number.span)
        return Global(place.text, offset, span)

    def _immediate(self, backslash: Token) -> Expression:
        sign = self._take("-", "+")
        token = self._next()
        span = backslash.span.to(token.span)
        if token.kind == "string" and sign is None:
            return Text(token.value, span)
        if token.kind != "number":
            raise _at(span, "BAD_IMM", "a number or a quoted text belongs after \\")
        number = Number(_number(token), span)
        return _negative(number, span) if sign is not None and sign.text == "-" else number

    def _group(self, opened: Token) -> Expression:
        inner = self.any_of_or()
        return replace(inner, span=opened.span.to(self._close(opened, "TOO_MANY_OPEN").span))

    def _call(self, name: Token) -> Expression:
        opened = self._next()
        arguments = [self.any_of_or()]
        while self._take(",") is not None:
            arguments.append(self.any_of_or())
        closed = self._close(opened, "TOO_MANY_OPEN")
        return Call(name.text, tuple(arguments), name.span.to(closed.span), name.span)

    def _close(self, opened: Token, code: str, closing: str = ")") -> Token:
        closed = self._take(closing)
        if closed is None:
            raise _at(opened.span, code, f"this {opened.text} is not closed", f"add {closing}")
        return closed

    def _binary(self, operator: Token, left: Expression, right: Expression) -> Expression:
        return Binary(operator.text, left, right, _span(left).to(_span(right)), operator.span)

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

    def _here(self, code: str, message: str, hint: str | None = None) -> SpecError:
        return spec_error(code, message, self._token.span, hint)


def _at(span: Span, code: str, message: str, hint: str | None = None) -> SpecError:
    return spec_error(code, message, span, hint)


def _span(expression: Expression) -> Span:
    return expression.span


def _cpu_list(token: Token) -> Expression:
    if not token.text.endswith("}"):
        raise _at(
            token.span, "MISSING_BRACE_CLOSE", "the list of CPUs is not closed", "add }: CPUS{0-3}"
        )
    return CpuList(token.text[len("CPUS{") : -1], token.span)


def _number(token: Token) -> int:
    try:
        value = number_value(token.text)
    except ValueError:
        raise spec_error(
            "BAD_IMM", f"{token.text} is no octal number", token.span, "drop the leading 0"
        ) from None
    if value >= 1 << 64:
        raise spec_error("BAD_IMM", "the number does not fit in 64 bits", token.span)
    return value


def _negative(number: Number, span: Span) -> Number:
    if number.value > 1 << 63:
        raise spec_error("BAD_IMM", "the number does not fit in 64 bits", span)
    return Number(-number.value, span)


def _names_number(words: Iterable[str]) -> bool:
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
