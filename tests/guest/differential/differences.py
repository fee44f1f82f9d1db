"""Where bpfprobe means to differ from the kernel, each with its reason.

Any other difference fails the tests. docs/grammar.md has the same list for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError
from bpfprobe.model import expression as ast
from bpfprobe.model.names import RESERVED_NAMES
from bpfprobe.model.span import SourceText
from bpfprobe.model.walk import walk
from bpfprobe.parse.definition import parse_definition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from corpus import Verdict

    Test = Callable[[str, Verdict, Verdict], bool]

WORDS = "Words behind p and r"
ARITHMETIC = "Expressions"
USER_ARRAYS = "Arrays in user memory"
NUMBERED_MEMBERS = "Members of numbered arguments"
RESERVED = "Names that every event has"
COUNT_OF_ARGUMENTS = "Numbers behind the last argument"
SMALL_STRINGS = "Strings of integers"
STRUCTS = "Structs and arrays as numbers"
STRUCTS_BY_VALUE = "Structs by value"
PROGRAM_ARGUMENTS = "Arguments of programs and at returns"
SYMBOLS = "Symbols that are not there"
BEHIND_BRACKETS = "Text behind a bracket"
SYMBOLS_OF_PROGRAMS = "Two mistakes at once"
NAMES = "Names of arguments"
NO_STRING = "What is not a string"
BARE_FIELDS = "Bare names of fields"
CARETS = "Carets behind a dereference"
SILENT = "Errors without a text"
FPROBE_FUNCTIONS = "Functions that an f cannot find"
LENGTH = "Long values"
DOTS = "GROUP.EVENT"
ATTACH_ARGUMENTS = "Values that an event does not have"


INSIDE = "Places inside of instructions"
TRACEPOINTS = "Tracepoints without their event"
DEPTH = "Depth"
NO_CODE = "Offsets without code"
LETTERS = "Letters that are none"
CALLS = "Numbers of calls"
LEFT_OPEN = "Open brackets"
PROGRAM_STRUCTS = "Structs in programs"

_NOT_OF_THE_NEWEST = frozenset({
    # What older kernels say, or what only definitions made at random come to.
    COUNT_OF_ARGUMENTS, STRUCTS, STRUCTS_BY_VALUE, PROGRAM_ARGUMENTS, BEHIND_BRACKETS,
    SYMBOLS_OF_PROGRAMS, NO_STRING, BARE_FIELDS, SILENT, FPROBE_FUNCTIONS, DOTS,
    ATTACH_ARGUMENTS, LENGTH,
})  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """A kind of difference; ``is_this`` looks at the text, the kernel's verdict and ours.

    On the newest kernel of the matrix the corpus shows each but those in _NOT_OF_THE_NEWEST.
    """

    title: str
    reason: str
    is_this: Test

    @property
    def is_old(self) -> bool:
        """Whether the newest kernel has no line of the corpus that shows it."""
        return self.title in _NOT_OF_THE_NEWEST


def explain(text: str, kernel: Verdict, ours: Verdict) -> Difference | None:
    """The difference that is meant here, None where none is."""
    return next((d for d in DIFFERENCES if d.is_this(text, kernel, ours)), None)


def _captures(text: str) -> Iterator[tuple[ast.Expression, str, int]]:
    """Each value of a definition that parses, with the words of its type and its count."""
    try:
        spec = parse_definition(SourceText(text))
    except SpecError:
        return
    for capture in spec.captures:
        kind = capture.type
        yield capture.value, kind.base if kind else "", kind.count if kind else 0


def is_fetch_argument(node: ast.Expression) -> bool:
    """Whether an expression is made of nothing but what the kernel has too."""
    for part in walk(node):
        if isinstance(part, (ast.Binary, ast.Unary, ast.Cast, ast.Element)):
            return False
        if isinstance(part, (ast.Number, ast.Text)) and not part.span.text.startswith("\\"):
            return False
        if isinstance(part, ast.Call) and part.function == "entry":
            return False
        if isinstance(part, (ast.Name, ast.Variable, ast.Register)) and part.span.text[0] == "(":
            return False
    return True


def _is_expression(text: str, kernel: Verdict, ours: Verdict) -> bool:
    return not kernel.accepts and any(
        not is_fetch_argument(value) for value, _, _ in _captures(text)
    )


def _is_user_array(text: str, kernel: Verdict, ours: Verdict) -> bool:
    return kernel.code == "BAD_STRING" and any(
        count and isinstance(value, ast.Offset) and value.user
        for value, _, count in _captures(text)
    )


def _is_numbered_member(text: str, kernel: Verdict, ours: Verdict) -> bool:
    return kernel.code == "BAD_VAR" and any(
        isinstance(part, ast.MemberOf)
        and isinstance(part.base, ast.Variable)
        and part.base.name.startswith("arg")
        for value, _, _ in _captures(text)
        for part in walk(value)
    )


def _is_reserved(text: str, kernel: Verdict, ours: Verdict) -> bool:
    names = re.findall(r"\s([A-Za-z_]\w*)=", text)
    return ours.code == "USED_ARG_NAME" and any(
        name in RESERVED_NAMES or name.startswith("_") for name in names
    )


def _is_bare_field(text: str, kernel: Verdict, ours: Verdict) -> bool:
    return text.startswith("e") and (
        ours.code == "NO_EVENT_FIELD" or kernel.code in ("NOSUP_BTFARG", "BAD_FETCH_ARG")
    )


def _is_left_open(text: str, kernel: Verdict, ours: Verdict) -> bool:
    return not kernel.accepts and ours.code == "TOO_MANY_OPEN" and text.count("(") > text.count(")")


def _is_struct_of_a_program(text: str, kernel: Verdict, ours: Verdict) -> bool:
    return kernel.code == "NOSUP_BTFARG" and any(
        isinstance(part, ast.StructView) and "/" in text.split()[1]
        for value, _, _ in _captures(text)
        for part in walk(value)
    )


def _is_caret(text: str, kernel: Verdict, ours: Verdict) -> bool:
    wild = kernel.column >= len(text)  # or where it has not set the place at all
    return kernel.code == ours.code and ("(" in text or wild) and kernel.column != ours.column


DIFFERENCES = (
    Difference(
        INSIDE,
        "Whether an instruction begins at a place of the kernel is not known until it is attached: "
        "explain says so, and attaching has the kernel's code and caret",
        lambda text, kernel, ours: kernel.code == "BAD_INSN_BNDRY" and ours.accepts,
    ),
    Difference(
        TRACEPOINTS,
        "t, a tracepoint without its event, is not there yet: tracepoint: has the event's fields",
        lambda text, kernel, ours: text[0] == "t" and ours.code == "RAW_TRACEPOINT",
    ),
    Difference(
        DEPTH,
        "A value may nest 64 deep; the kernel's takes 12 operations, since Linux 7.3 it nests 8",
        lambda text, kernel, ours: (
            kernel.code in ("TOO_MANY_OPS", "TOO_MANY_NESTED") and ours.accepts
        ),
    ),
    Difference(
        NO_CODE,
        "An offset of a program where no code is; the kernel takes it, and nothing is ever hit",
        lambda text, kernel, ours: kernel.accepts and ours.code == "BAD_UPROBE_OFFS",
    ),
    Difference(
        LETTERS,
        "What begins with a letter that the kernel does not have is trace(8)'s",
        lambda text, kernel, ours: (
            not kernel.accepts and text[0] not in "prfte-" and ours.code == "BAD_FORMAT"
        ),
    ),
    Difference(
        CALLS,
        "The kernel ignores a number after e, and after r at a place of a program",
        lambda text, kernel, ours: (
            kernel.accepts
            and re.match(r"[er]\d", text) is not None
            and ours.code in ("BAD_MAXACT", "BAD_MAXACT_TYPE")
        ),
    ),
    Difference(
        LEFT_OPEN,
        "A bracket that is not closed is said of the bracket; the kernel says it of the end, or "
        "does not know such a fetch argument",
        _is_left_open,
    ),
    Difference(
        PROGRAM_STRUCTS,
        "A struct of the kernel is a view of a program's memory too, as it has them of its calls",
        _is_struct_of_a_program,
    ),
    Difference(
        WORDS,
        "The kernel ignores what stands between p or r and the colon unless it is a digit: "
        "a slip of the pen there would probe something else. Here such a word is one of trace(8)'s",
        lambda text, kernel, ours: re.match(r"[pr][^:\s\d]", text) is not None,
    ),
    Difference(
        ARITHMETIC,
        "Any expression is a value: arithmetic, comparisons, brackets, plain numbers and text, "
        "entry(), casts as C writes them. What is wrong with one is said of its parts",
        _is_expression,
    ),
    Difference(
        USER_ARRAYS,
        "+u0(x):u8[4] reads user memory; the kernel's loop knows its own memory only",
        _is_user_array,
    ),
    Difference(
        NUMBERED_MEMBERS,
        "$arg1->member is the member of the first argument, as file->member is",
        _is_numbered_member,
    ),
    Difference(
        RESERVED,
        "the methods of an event (names, raw, faults ...) are there in every event, and names with "
        "_ in front are kept for what it says of the hit: another name has to be given",
        _is_reserved,
    ),
    Difference(
        COUNT_OF_ARGUMENTS,
        "Where the types of the kernel say how many arguments a function has, there are no more; "
        "before Linux 6.6 the kernel reads whatever is in the next register or on the stack",
        lambda text, kernel, ours: "$arg" in text and ours.code == "NO_BTFARG",
    ),
    Difference(
        SMALL_STRINGS,
        "The kernel mistakes some integers for pointers to char (it takes their size for the id of "
        "a type), and reads a string from the address that the number would be",
        lambda text, kernel, ours: kernel.accepts and ours.code == "BAD_TYPE4STR",
    ),
    Difference(
        STRUCTS,
        "A struct or an array of the kernel's types is not a number: a member or an element has to "
        "be named, where the kernel takes the first bytes there are",
        lambda text, kernel, ours: (
            kernel.accepts and ours.code == "BAD_TYPE" and ("->" in text or "." in text)
        ),
    ),
    Difference(
        STRUCTS_BY_VALUE,
        "$argN is argument N; of a struct by value that has more than one number a member has to "
        "be named, where the kernel takes register N",
        lambda text, kernel, ours: (
            kernel.accepts and ours.code == "BAD_TYPE" and "tcp_setsockopt $arg4" in text
        ),
    ),
    Difference(
        PROGRAM_ARGUMENTS,
        "$argN is there in programs too, by the calling convention, and at every return as it was "
        "on entry; the kernel keeps its own functions' since Linux 6.9 (before, it calls them bad "
        "variables), those of programs never",
        lambda text, kernel, ours: (
            kernel.code in ("NOFENTRY_ARGS", "BAD_VAR")
            and (ours.accepts or ours.code != kernel.code)
            and re.search(r"^r.*\$arg\d|/.*\$arg\d|\+.*\$arg\d", text) is not None
        ),
    ),
    Difference(
        SYMBOLS,
        "That @SYMBOL is not there is said of the value; the kernel says it of the place",
        lambda text, kernel, ours: (
            kernel.code in ("BAD_PROBE_ADDR", "FAIL_REG_PROBE") and ours.code == "BAD_MEM_ADDR"
        ),
    ),
    Difference(
        BEHIND_BRACKETS,
        "The kernel ignores what stands behind the last bracket and behind $retval in programs: a "
        "slip of the pen there changes what is meant",
        lambda text, kernel, ours: (
            kernel.accepts and re.search(r"\)[^):\s]|\$retval[^:)\s]", text) is not None
        ),
    ),
    Difference(
        SYMBOLS_OF_PROGRAMS,
        "That symbol is not a type in a program is said after what is wrong with the value",
        lambda text, kernel, ours: (
            kernel.code == "BAD_TYPE"
            and not ours.accepts
            and re.search(r"/.*:sym(bol|str)", text) is not None
        ),
    ),
    Difference(
        NAMES,
        "Before Linux 6.6 the kernel knows no names of arguments: they are bad fetch arguments. "
        "Since then a name is to it all that has no dot and no hyphen in it",
        lambda text, kernel, ours: (
            kernel.code in ("BAD_FETCH_ARG", "NO_BTFARG", "NOSUP_BTFARG")
            and (
                ours.code in ("NOSUP_BTFARG", "NO_BTFARG", "BAD_HYPHEN", "BAD_FETCH_ARG")
                or (ours.code == "BAD_OPERATOR" and re.search(r"=\w+=", text) is not None)
            )
        ),
    ),
    Difference(
        NO_STRING,
        "What is not a string is refused at the value where its type is known, else at the type",
        lambda text, kernel, ours: {kernel.code, ours.code} == {"BAD_STRING", "BAD_TYPE4STR"},
    ),
    Difference(
        BARE_FIELDS,
        "Fields of an event go by their names with and without $; the kernels with this since 2026",
        _is_bare_field,
    ),
    Difference(
        CARETS,
        "Behind +u and +OFFSET( the kernel counts its carets from another place than before it; "
        "ours are below what is meant",
        _is_caret,
    ),
    Difference(
        SILENT,
        "The kernel refuses with an errno and no word; ours have a code",
        lambda text, kernel, ours: kernel.code.startswith("errno") and not ours.accepts,
    ),
    Difference(
        FPROBE_FUNCTIONS,
        "Before Linux 6.14 an f with a function that is not there fails late, as FAIL_REG_PROBE",
        lambda text, kernel, ours: (
            text.startswith("f")
            and kernel.code == "FAIL_REG_PROBE"
            and ours.code == "BAD_PROBE_ADDR"
        ),
    ),
    Difference(
        DOTS,
        "Before Linux 5.15 only a slash stands between group and event",
        lambda text, kernel, ours: (
            kernel.code == "BAD_EVENT_NAME" and re.match(r"\w:\w*\.", text) is not None
        ),
    ),
    Difference(
        ATTACH_ARGUMENTS,
        "Before Linux 6.3 the kernel says BAD_ATTACH_ARG to all $variables of an e that are no "
        "field, since then BAD_VAR",
        lambda text, kernel, ours: (kernel.code, ours.code) == ("BAD_ATTACH_ARG", "BAD_VAR"),
    ),
    Difference(
        LENGTH,
        "A value may be as long as a definition; the kernel's buffer has 63 or 255 characters",
        lambda text, kernel, ours: kernel.code == "ARG_TOO_LONG" and ours.accepts,
    ),
)
