"""Functions made at random as programs of C, C++ and Fortran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.native.random_functions import Array, Choices, Scalar, Struct

if TYPE_CHECKING:
    from tests.native.random_functions import Function, Type, Value

_C_SCALARS = (
    "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "bool", "f32", "f64", "address", "text",
)  # fmt: skip
_C_NAMES = {
    "s8": "signed char", "u8": "unsigned char", "s16": "short", "u16": "unsigned short",
    "s32": "int", "u32": "unsigned", "s64": "long", "u64": "unsigned long", "bool": "bool",
    "f32": "float", "f64": "double", "address": "void *", "text": "const char *",
}  # fmt: skip
C = Choices(_C_SCALARS, 0.15, False, False)
CXX = Choices(_C_SCALARS, 0.3, True, True)

_FORTRAN_SCALARS = ("s8", "s16", "s32", "s64", "bool", "f32", "f64")
_FORTRAN_NAMES = {
    "s8": "integer(1)", "s16": "integer(2)", "s32": "integer(4)", "s64": "integer(8)",
    "bool": "logical(1)", "f32": "real(4)", "f64": "real(8)",
}  # fmt: skip
FORTRAN = Choices(_FORTRAN_SCALARS, 0.6, True, False)

DRIVER = r"""
#include <sys/mman.h>
#include <unistd.h>
void call_all(void);
void touch(const void *p) { asm volatile("" ::"r"(p) : "memory"); }
int main(void)
{
    char go;
    mlockall(MCL_CURRENT); /* so that no value is a fault */
    while (read(0, &go, 1) == 1) {
        call_all();
        if (write(1, "k", 1) != 1)
            return 1;
    }
    return 0;
}
"""
"""What a program does: each byte that it reads has it call every function once."""


def write_c(made: list[Function]) -> tuple[str, str]:
    """A unit of C with all functions, and one that calls them."""
    return _of_c(made, is_cxx=False)


def write_cxx(made: list[Function]) -> tuple[str, str]:
    """The same in C++: references in place of pointers, and classes that have a destructor."""
    return _of_c(made, is_cxx=True)


_HEAD = """
#include <stdbool.h>
#ifdef __cplusplus
extern "C" {
#endif
void touch(const void *p);
"""
_TAIL = """
#ifdef __cplusplus
}
#endif
"""


def _of_c(made: list[Function], *, is_cxx: bool) -> tuple[str, str]:
    """Functions and calls are apart: Clang hands over nothing that it sees to be unused."""
    types, bodies, held, calls = [], [], [], []
    for function in made:
        for struct in function.structs:
            types += _c_structs(struct)
        handed, declared, body = [], [], []
        for n, one in enumerate(function.parameters):
            name = f"v_{function.name}_{n}"
            held.append(f"static {_c(one.type, name)} = {_c_value(one.type, one.value)};")
            sign = ("&" if is_cxx else "*") if one.by_address else ""
            place = f"({sign}p{n})" if isinstance(one.type, Array) else f"{sign}p{n}"
            declared.append(_c(one.type, place))
            handed.append(f"&{name}" if sign == "*" else name)
            body += [f"touch(&p{n});"] if one.is_used else []
        given = ", ".join(declared) or "void"
        prototype = f"void {function.name}({given})"
        if function.result is not None:
            name = f"g_{function.name}"
            initial = _c_value(function.result, function.returned)
            bodies.append(f"static {_c(function.result, name)} = {initial};")
            prototype = f"{_c(function.result, function.name)}({given})"
            body.append(f"return {name};")
        bodies.append(f"{prototype} {{ {' '.join(body)} }}")
        held.append(f"{prototype};")
        calls.append(f"{function.name}({', '.join(handed)});")
    caller = [*held, "void call_all(void)", "{", *calls, "}"]
    return (
        "\n".join([_HEAD, *types, *bodies, _TAIL]),
        "\n".join([_HEAD, *types, *caller, _TAIL]),
    )


def _c_structs(struct: Struct) -> list[str]:
    inner = [line for one in struct.members if isinstance(one, Struct) for line in _c_structs(one)]
    members = " ".join(f"{_c(one, f'm{n}')};" for n, one in enumerate(struct.members))
    destructor = f" ~{struct.name}() {{ touch(this); }}" if struct.is_class else ""
    return [*inner, f"struct {struct.name} {{ {members}{destructor} }};"]


def _c(ktype: Type, name: str) -> str:
    if isinstance(ktype, Struct):
        return f"struct {ktype.name} {name}"
    if isinstance(ktype, Array):
        return f"{_C_NAMES[ktype.element.name]} {name}[{ktype.count}]"
    return f"{_C_NAMES[ktype.name]} {name}"


def _c_value(ktype: Type, value: Value) -> str:
    if isinstance(ktype, Scalar):
        if ktype.name == "text":
            return f'"{value}"'
        if ktype.name in ("f32", "f64", "bool"):
            return str(value)
        assert isinstance(value, int)
        kind = _C_NAMES[ktype.name]
        return f"({kind}){value % (1 << 64)}ul"
    return "{" + ", ".join(_c_value(one, part) for one, part in _with(ktype, value)) + "}"


def _with(ktype: Array | Struct, value: Value) -> list[tuple[Type, Value]]:
    assert isinstance(value, tuple)
    types = ktype.members if isinstance(ktype, Struct) else [ktype.element] * ktype.count
    return list(zip(types, value, strict=True))


def write_fortran(made: list[Function]) -> tuple[str, str]:
    """A module that has the functions, and a unit that calls them: not inlined there."""
    types, bodies, calls, held = [], [], [], []
    for function in made:
        for struct in function.structs:
            types += _fortran_structs(struct)
        names = [f"p{n}" for n in range(len(function.parameters))]
        lines = []
        for n, one in enumerate(function.parameters):
            by_value = "" if one.by_address else ", value"
            lines.append(f"{_fortran(one.type)}{by_value} :: p{n}{_shape(one.type)}")
            variable = f"v_{function.name}_{n}"
            held.append(f"{_fortran(one.type)} :: {variable}{_shape(one.type)}")
            calls.append(f"{variable} = {_fortran_value(one.type, one.value)}")
        used = [
            f"call touch(loc(p{n}))" for n, one in enumerate(function.parameters) if one.is_used
        ]
        kind, given = "subroutine", f"({', '.join(names)})"
        passed = ", ".join(f"v_{function.name}_{n}" for n in range(len(names)))
        call = f"call {function.name}({passed})"
        if function.result is not None:
            kind = "function"
            lines.append(f"{_fortran(function.result)} :: {function.name}")
            used.append(f"{function.name} = {_fortran_value(function.result, function.returned)}")
            variable = f"g_{function.name}"
            held.append(f"{_fortran(function.result)} :: {variable}")
            call = f"{variable} = {function.name}({passed})"
        bodies += [_wrapped(f"{kind} {function.name}{given}"), *lines, *used, f"end {kind}"]
        calls.append(call)
        if function.result is not None:
            # gfortran leaves out the call of a pure function whose result is unused.
            calls.append(f"call touch(loc(g_{function.name}))")
    module = [
        "module made", "implicit none", *types, "interface", "subroutine touch(p) bind(c)",
        "use iso_c_binding", "integer(c_intptr_t), value :: p", "end subroutine", "end interface",
        "contains", *bodies, "end module",
    ]  # fmt: skip
    caller = ["subroutine call_all() bind(c)", "use made", "implicit none", *held, *calls]
    return (
        "\n".join(_wrapped(line) for line in module) + "\n",
        "\n".join(_wrapped(line) for line in [*caller, "end subroutine"]) + "\n",
    )


def _wrapped(line: str) -> str:
    """A line cut where blanks are, as compilers take 132 characters."""
    return line if "\n" in line or len(line) < 120 else line.replace(", ", ", &\n")


def _fortran_structs(struct: Struct) -> list[str]:
    lines = [
        line for one in struct.members if isinstance(one, Struct) for line in _fortran_structs(one)
    ]
    members = [f"{_fortran(one)} :: m{n}{_shape(one)}" for n, one in enumerate(struct.members)]
    return [*lines, f"type {struct.name}", "sequence", *members, "end type"]


def _fortran(ktype: Type) -> str:
    if isinstance(ktype, Struct):
        return f"type({ktype.name})"
    return _FORTRAN_NAMES[(ktype.element if isinstance(ktype, Array) else ktype).name]


def _shape(ktype: Type) -> str:
    return f"({ktype.count})" if isinstance(ktype, Array) else ""


def _fortran_value(ktype: Type, value: Value) -> str:
    if isinstance(ktype, Array):
        return "[" + ", ".join(_fortran_value(one, part) for one, part in _with(ktype, value)) + "]"
    if isinstance(ktype, Struct):
        inside = ", ".join(_fortran_value(one, part) for one, part in _with(ktype, value))
        return f"{ktype.name}({inside})"
    if ktype.name == "bool":
        return f".{'true' if value else 'false'}._1"
    if ktype.name in ("f32", "f64"):
        return f"{value}_{int(ktype.name[1:]) // 8}"
    assert isinstance(value, int)
    bits = int(ktype.name[1:])
    size = bits // 8
    if value == -(1 << bits - 1):
        return f"(-{(1 << bits - 1) - 1}_{size} - 1_{size})"
    return f"({value}_{size})"
