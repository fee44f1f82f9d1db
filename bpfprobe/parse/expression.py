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
    postfix    = ( primary | view ) { ("->" | ".") NAME | "[" NUMBER "]" }
    view       = "(" STRUCT ["," NAME { "." NAME }] ")" ( fetch | primary ) "->" NAME
    primary    = NUMBER | CHARACTER | STRING | NAME | NAME "(" expression { "," expression } ")"
               | "$" NAME ["*"] | "%" NAME
               | "@" (NAME [("+" | "-") NUMBER] | NUMBER | "+" NUMBER)
               | "\" ["-" | "+"] NUMBER | "\" STRING | "(" expression ")"

``fetch``, ``view``, ``$``, ``%``, ``@`` and ``\`` are the kernel's fetch arguments
(Documentation/trace/kprobetrace.rst), and a kernel event filter
(Documentation/trace/events.rst) is an expression of this grammar. A view looks at an address as a
pointer to a struct, or to a member of one; it binds tighter than ``->``, which a cast does not.
``&`` binds tighter than a comparison, unlike in C: ``flags & 4 == 4`` means what it looks like. A
``!`` in front of a comparison is the opposite of all of it, as in the kernel's filters. ``~``
between two operands matches a glob, or with a ``!`` as its first character all that does not match.
A comparison does not chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.expression import (
    Binary,
    Cast,
    Expression,
    MemberOf,
    Name,
    Number,
    Unary,
)
from bpfprobe.parse.cursor import negative
from bpfprobe.parse.height import check_height
from bpfprobe.parse.operands import Operands, names_number
from bpfprobe.parse.scanner import Token, scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfprobe.errors import SpecError
    from bpfprobe.model.span import SourceText

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
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "~")


def parse_expression(source: SourceText, start: int = 0, end: int | None = None) -> Expression:
    """Parse a stretch of text that must be one whole expression. Raises `SpecError`."""
    parser = _Parser(scan(source, start, end))
    try:
        expression = parser.whole()
    except RecursionError:  # of a caller that has used up the stack itself
        raise parser.too_deep() from None
    parser.expect_end()
    check_height(expression)
    return expression


class _Parser(Operands):
    """A recursive descent over a list of tokens; a method for each rule of the grammar."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self._depth = 0

    def whole(self) -> Expression:
        return self._nested(self._any_of_or)

    def _any_of_or(self) -> Expression:
        left = self._all_of_and()
        while (operator := self.take("||")) is not None:
            left = self._binary(operator, left, self._all_of_and())
        return left

    def expect_end(self) -> None:
        token = self.token
        if token.kind == "end":
            return
        if token.text == ")":
            raise self.here("TOO_MANY_CLOSE", "this ) closes nothing", "remove it, or open a (")
        if token.text == "=":
            is_glob = self.peek(1).text == "~"
            hint = "~ alone compares with a glob" if is_glob else "write =="
            raise self.here("BAD_OPERATOR", "= does not compare", hint)
        if token.text == "!" and self.peek(1).text == "~":
            raise self.here("BAD_OPERATOR", "there is no !~", 'put a ! in front: !(path ~ "x*")')
        if token.text in _COMPARISONS:
            raise self.here("BAD_OPERATOR", "comparisons do not chain", "join two with &&")
        raise self.here("BAD_FETCH_ARG", f"an operator was expected before {token.text}")

    def _all_of_and(self) -> Expression:
        left = self._comparison()
        while (operator := self.take("&&")) is not None:
            left = self._binary(operator, left, self._comparison())
        return left

    def _comparison(self) -> Expression:
        if self.token.kind == "operator" and self.token.text == "!":
            return self._nested(self._opposite)
        left = self._arithmetic(0)
        operator = self.take(*_COMPARISONS)
        if operator is None:
            return left
        of_function = isinstance(left, MemberOf) and left.name == "function" and not left.arrow
        if of_function and self.token.kind == "name":
            return self._binary(operator, left, self._symbol())
        return self._binary(operator, left, self._arithmetic(0))

    def _opposite(self) -> Expression:
        bang = self.next()
        operand = self._comparison()
        return Unary("!", operand, bang.span.to(operand.span))

    def _symbol(self) -> Expression:
        """The name of a function, which may hold dots: ``free_pages.part.0``."""
        span = self.next().span
        while self.token.touches and self.token.kind in ("name", "number", "operator"):
            if self.token.kind == "operator" and self.token.text != ".":
                break
            span = span.to(self.next().span)
        return Name(span.text, span)

    def _arithmetic(self, level: int) -> Expression:
        if level == len(_LEFT_ASSOCIATIVE):
            return self._unary()
        left = self._arithmetic(level + 1)
        while (operator := self.take(*_LEFT_ASSOCIATIVE[level])) is not None:
            left = self._binary(operator, left, self._arithmetic(level + 1))
        return left

    def _unary(self) -> Expression:
        return self._nested(self._unary_body)

    def _nested(self, rule: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.too_deep()
        expression = rule()
        self._depth -= 1
        return expression

    def too_deep(self) -> SpecError:
        """The error for what nests too deep, at the token that does."""
        message = f"this nests too deep: at most {MAX_DEPTH // 2} brackets, {MAX_DEPTH} operators"
        return self.here("TOO_MANY_NESTED", message, "split the expression")

    def _unary_body(self) -> Expression:
        token = self.token
        if token.text in ("+", "-") and self.starts_fetch():
            return self.fetch()
        if token.kind == "operator" and token.text in ("-", "~", "!", "*"):
            self._at += 1
            operand = self._unary()
            if token.text == "-" and isinstance(operand, Number):
                return negative(operand, token.span.to(operand.span))
            return Unary(token.text, operand, token.span.to(operand.span))
        if self.view_width():
            return self.postfix()
        if token.text == "(" and (width := self._cast_width()):
            return self._cast(width)
        return self.postfix()

    def _cast_width(self) -> int:
        """How many tokens of a cast follow, 0 if this parenthesis opens something else."""
        at = 1
        is_struct = self.peek(at).text in ("struct", "union")
        at += is_struct
        if self.peek(at).kind != "name":
            return 0
        first = at
        at += 1
        while self.peek(at).kind == "name":  # unsigned long
            at += 1
        is_number = names_number(self.peek(n).text for n in range(first, at))
        stars = 0
        while self.peek(at).text == "*":
            at, stars = at + 1, stars + 1
        if self.peek(at).text != ")":
            return 0
        return at + 1 if is_struct or stars or is_number else 0

    def _cast(self, width: int) -> Expression:
        tokens = [self.next() for _ in range(width)]
        inner = tokens[1:-1]
        words = [token.text for token in inner if token.kind == "name"]
        is_struct = words[0] in ("struct", "union")
        name = " ".join(words[1:] if is_struct else words)
        depth = sum(token.text == "*" for token in inner)
        operand = self._unary()
        span = tokens[0].span.to(operand.span)
        type_span = inner[0].span.to(inner[-1].span)
        return Cast(name, depth, is_struct, operand, span, type_span)

    def _binary(self, operator: Token, left: Expression, right: Expression) -> Expression:
        return Binary(operator.text, left, right, left.span.to(right.span), operator.span)
