from __future__ import annotations

import pytest

from bpfprobe.errors import SpecError
from bpfprobe.model import expression as ast
from bpfprobe.model.number import number_value
from bpfprobe.model.span import SourceText
from bpfprobe.parse.expression import MAX_DEPTH, parse_expression


def shape(node: ast.Expression) -> str:
    """A tree as text with every bracket written."""
    match node:
        case ast.Number(value):
            return str(value)
        case ast.Text(value):
            return repr(value)
        case ast.CpuList(text):
            return f"CPUS{{{text}}}"
        case ast.Name(name):
            return name
        case ast.Variable(name):
            return f"${name}"
        case ast.Register(name):
            return f"%{name}"
        case ast.Global(symbol, offset):
            return f"@{symbol or hex(offset)}{f'{offset:+}' if symbol and offset else ''}"
        case ast.Offset(offset, base, user):
            return f"{'u' * user}{offset:+}({shape(base)})"
        case ast.MemberOf(base, name, arrow):
            return f"{shape(base)}{'->' if arrow else '.'}{name}"
        case ast.Element(base, index):
            return f"{shape(base)}[{index}]"
        case ast.Cast(name, depth, is_struct, operand):
            return f"<{'struct ' * is_struct}{name}{'*' * depth}>{shape(operand)}"
        case ast.StructView(struct, members, operand):
            return f"({','.join([struct, *members])}){shape(operand)}"
        case ast.FileMemory(offset):
            return f"@+{offset:#x}"
        case ast.Call(function, arguments):
            return f"{function}({', '.join(map(shape, arguments))})"
        case ast.Unary(operator, operand):
            return f"{operator}[{shape(operand)}]"
        case ast.Binary(operator, left, right):
            return f"[{shape(left)} {operator} {shape(right)}]"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        # the kernel's fetch arguments
        ("%di", "%di"),
        ("$stack", "$stack"),
        ("$stack12", "$stack12"),
        ("$arg1", "$arg1"),
        ("$retval", "$retval"),
        ("@jiffies", "@jiffies"),
        ("@jiffies+4", "@jiffies+4"),
        ("@jiffies-0x10", "@jiffies-16"),
        ("@0xffff8000", "@0xffff8000"),
        ("+8(%si)", "+8(%si)"),
        ("-4($stack)", "-4($stack)"),
        ("+0x10(%si)", "+16(%si)"),
        ("+010(%si)", "+8(%si)"),
        ("+u0(x)", "u+0(x)"),
        ("-u8(x)", "u-8(x)"),
        ("+0(+8(-16(%bp)))", "+0(+8(-16(%bp)))"),
        ("\\42", "42"),
        ("\\-42", "-42"),
        ("\\+42", "42"),
        ('\\"x"', "b'x'"),
        # what C has
        ("a->b.c", "a->b.c"),
        ("a[3]->b", "a[3]->b"),
        ("*a->b", "*[a->b]"),
        ("-a * b", "[-[a] * b]"),
        ("- 5", "-5"),
        ("-(5)", "-5"),
        ("~-1", "~[-1]"),
        ("1 + 2 * 3", "[1 + [2 * 3]]"),
        ("1 - 2 - 3", "[[1 - 2] - 3]"),
        ("a << 2 + 1", "[a << [2 + 1]]"),
        ("a | b ^ c & d", "[a | [b ^ [c & d]]]"),
        ("(1 + 2) * 3", "[[1 + 2] * 3]"),
        ("a & 4 == 4", "[[a & 4] == 4]"),
        ("a == 1 || b == 2 && c", "[[a == 1] || [[b == 2] && c]]"),
        ("!a && b", "[![a] && b]"),
        ("!(a && b)", "![[a && b]]"),
        ("!a == 1 && b", "[![[a == 1]] && b]"),
        ("!!a & 4", "![![[a & 4]]]"),
        ("1 + !a", "[1 + ![a]]"),
        ("f.function == free.part.0", "[f.function == free.part.0]"),
        ("f.function != 0x10 && a", "[[f.function != 16] && a]"),
        ("(f.function == free)", "[f.function == free]"),
        ("f.ustring ~ 'x*'", "[f.ustring ~ b'x*']"),
        ("cpu & CPUS{0-3,8}", "[cpu & CPUS{0-3,8}]"),
        ('comm ~ "n*"', "[comm ~ b'n*']"),
        ("a ~ b", "[a ~ b]"),
        ("~a", "~[a]"),
        ("a % b", "[a % b]"),
        ("a%b", "[a % b]"),
        ("a - -4(b)", "[a - -4(b)]"),
        ("a -4", "[a - 4]"),
        # casts
        ("(struct file *)$arg1", "<struct file*>$arg1"),
        ("((struct file *)$arg1)->f_inode", "<struct file*>$arg1->f_inode"),
        ("(union u *)%di", "<struct u*>%di"),
        ("(u32)x", "<u32>x"),
        ("(u32)-1", "<u32>-1"),
        ("(s64)~x", "<s64>~[x]"),
        ("(u32)+8(%si)", "<u32>+8(%si)"),
        ("(unsigned long)x + 1", "[<unsigned long>x + 1]"),
        ("(char **)x", "<char**>x"),
        ("(u16)%ax", "<u16>%ax"),
        ("(file)x->y", "(file)x->y"),
        ("(file)x->y.z", "(file)x->y.z"),
        ("(file,a.b)$arg1->y", "(file,a,b)$arg1->y"),
        ("(file)+8(%di)->y->z", "(file)+8(%di)->y->z"),
        ("(file)(x->y)->z + 1", "[(file)x->y->z + 1]"),
        ("(file)@sym->y", "(file)@sym->y"),
        ("this_cpu_read(+8($arg1))", "this_cpu_read(+8($arg1))"),
        ("@+0x10", "@+0x10"),
        ("@sym.isra.0+8", "@sym.isra.0+8"),
        ("$arg*", "$arg*"),
        ("(pid) == 1", "[pid == 1]"),
        ("(pid) - 1", "[pid - 1]"),
        ("(pid)", "pid"),
        # literals
        ("0x1F", "31"),
        ("017", "15"),
        ("0", "0"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("'a'", "97"),
        (r"'\n'", "10"),
        ("'ab'", "b'ab'"),
        ("''", "b''"),
        (r'"\*\?\[\]"', repr(rb"\*\?\[\]")),
        (r"'\x7f'", "127"),
        (r'"a\"b\\\x00\n\t\e"', repr(b'a"b\\\x00\n\t\x1b')),
        ('"ä"', repr("ä".encode())),
        ('"\udcff"', repr(b"\xff")),
        ('""', "b''"),
        ("entry(how->flags)", "entry(how->flags)"),
        ("f(a, b + 1)", "f(a, [b + 1])"),
        ("  a  ", "a"),
    ],
)
def test_trees(text: str, tree: str) -> None:
    assert shape(parse_expression(SourceText(text))) == tree


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "NO_ARG_BODY", ""),
        ("a +", "NO_ARG_BODY", ""),
        ("a b", "BAD_FETCH_ARG", "b"),
        ("&x", "BAD_FETCH_ARG", "&"),
        ("a = 1", "BAD_OPERATOR", "="),
        ("a < b < c", "BAD_OPERATOR", "<"),
        ("a == b == c", "BAD_OPERATOR", "=="),
        ("(a", "TOO_MANY_OPEN", "("),
        ("a)", "TOO_MANY_CLOSE", ")"),
        ("+0(@0", "DEREF_OPEN_BRACE", "("),
        ("+0@0)", "DEREF_NEED_BRACE", "+"),
        ("+x", "BAD_FETCH_ARG", "+"),
        ("+9223372036854775808(x)", "BAD_DEREF_OFFS", "9223372036854775808"),
        ("f(a", "TOO_MANY_OPEN", "("),
        ("a[", "BAD_ARRAY_NUM", ""),
        ("a[b]", "BAD_ARRAY_NUM", "b"),
        ("a[1", "ARRAY_NO_CLOSE", "["),
        ("a[4294967296]", "ARRAY_TOO_BIG", "4294967296"),
        ("a->", "NO_BTF_FIELD", ""),
        ("a->1", "NO_BTF_FIELD", "1"),
        ("$", "BAD_VAR", "$"),
        ("%", "BAD_REG_NAME", "%"),
        ("% di", "BAD_REG_NAME", "%"),
        ("@", "BAD_MEM_ADDR", ""),
        ("@+x", "BAD_MEM_ADDR", "+"),
        ("(file)x", "TYPECAST_REQ_FIELD", ""),
        ("(file,a->b)x->y", "TYPECAST_BAD_ARROW", "->"),
        ("(file)@sym+8->y", "TYPECAST_SYM_OFFSET", "@"),
        ("\\x", "BAD_IMM", "\\x"),
        ("08", "BAD_IMM", "08"),
        ("18446744073709551616", "BAD_IMM", "18446744073709551616"),
        ("-9223372036854775809", "BAD_IMM", "-9223372036854775809"),
        ("\\-9223372036854775809", "BAD_IMM", "\\-9223372036854775809"),
        ('"abc', "IMMSTR_NO_CLOSE", '"abc'),
        ('"abc\\"', "IMMSTR_NO_CLOSE", '"abc\\"'),
        ('"a\\q"', "BAD_IMM", "\\q"),
        ('"\\x4"', "BAD_IMM", "\\x"),
        ("12ab", "BAD_IMM", "12ab"),
        ("0x", "BAD_IMM", "0x"),
        ("a !~ b", "BAD_OPERATOR", "!"),
        ("cpu & CPUS{0-3", "MISSING_BRACE_CLOSE", "CPUS{0-3"),
        ('"\ud800"', "BAD_IMM", "\ud800"),
        ("a ? b", "BAD_FETCH_ARG", "?"),
        ("a; return", "BAD_FETCH_ARG", ";"),
        ("äöü", "BAD_FETCH_ARG", "ä"),
    ],
)
def test_errors_point_at_their_place(text: str, code: str, place: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_expression(SourceText(text))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.span and diagnostic.span.text) == (code, place)


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("ab + cd", ["ab + cd", "ab", "cd"]),
        ("(ab + cd) * e", ["(ab + cd) * e", "(ab + cd)", "ab", "cd", "e"]),
        ("+8(%si)", ["+8(%si)", "%si"]),
        ("((struct f *)x)->y", ["((struct f *)x)->y", "((struct f *)x)", "x"]),
        ("a->b[2]", ["a->b[2]", "a->b", "a"]),
        ("!entry( x )", ["!entry( x )", "entry( x )", "x"]),
        ("@sym+4", ["@sym+4"]),
        ('\\"hi"', ['\\"hi"']),
        ("-(5)", ["-(5)"]),
    ],
)
def test_every_node_knows_its_characters(text: str, spans: list[str]) -> None:
    source = SourceText(f"xx{text}yy")
    found: list[str] = []

    def visit(node: ast.Expression) -> None:
        found.append(node.span.text)
        for name in ("left", "right", "base", "operand"):
            if hasattr(node, name):
                visit(getattr(node, name))
        for inner in getattr(node, "arguments", ()):
            visit(inner)

    visit(parse_expression(source, 2, 2 + len(text)))
    assert found == spans


def test_names_and_operators_have_spans_of_their_own() -> None:
    member = parse_expression(SourceText("a->bc"))
    assert isinstance(member, ast.MemberOf)
    assert member.name_span.text == "bc"
    cast = parse_expression(SourceText("(struct file *)x"))
    assert isinstance(cast, ast.Cast)
    assert cast.type_span.text == "struct file *"
    both = parse_expression(SourceText("a >= b"))
    assert isinstance(both, ast.Binary)
    assert both.operator_span.text == ">="


@pytest.mark.parametrize(
    ("open_text", "close_text"), [("(", ")"), ("-", ""), ("+0(", ")"), ("!", ""), ("f(", ")")]
)
def test_nesting_has_a_limit(open_text: str, close_text: str) -> None:
    few, many = MAX_DEPTH // 2 - 2, MAX_DEPTH + 1
    parse_expression(SourceText(open_text * few + "x" + close_text * few))
    with pytest.raises(SpecError) as caught:
        parse_expression(SourceText(open_text * many + "x" + close_text * many))
    assert caught.value.code == "TOO_MANY_NESTED"


@pytest.mark.parametrize("step", ["+a", "->a", "[1]", "*a"])
def test_a_chain_has_a_limit(step: str) -> None:
    parse_expression(SourceText("a" + step * 100))
    with pytest.raises(SpecError) as caught:
        parse_expression(SourceText("a" + step * 200))
    assert caught.value.code == "TOO_MANY_OPS"


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("00", 0), ("010", 8), ("0x10", 16), ("0X1f", 31), ("10", 10)]
)
def test_numbers_are_read_as_the_kernel_reads_them(text: str, value: int) -> None:
    assert number_value(text) == value
