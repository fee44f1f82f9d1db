"""Floats: where they can be had, and what is refused by name."""

from __future__ import annotations

import pytest

from bpfprobe.cli.event_format import event_format
from bpfprobe.cli.plan_text import layout_text
from bpfprobe.errors import TargetError
from bpfprobe.model.arch import arch_named
from bpfprobe.model.ktype import KFloat, KInt, KOther, KPointer, KStruct, KType, Member, Parameter
from bpfprobe.model.ktype import Prototype as Function
from bpfprobe.model.layout import FieldKind
from bpfprobe.model.machine import FileOffset, UsdtLocation, UsdtMarker, VirtualAddress
from bpfprobe.model.scalar import F32, F64, U64, X64
from bpfprobe.model.value import (
    ArrayValue,
    ByPlace,
    Kept,
    Load,
    RegisterValue,
    ReturnValue,
    Space,
    View,
)
from bpfprobe.resolve.operand import ByValueOperand
from bpfprobe.resolve.returned import returned
from bpfprobe.testing.static_target import StaticTarget
from tests.by_value import by_value, members
from tests.sample_machine import bound, compiled, complaint

PATH = "/opt/scale"
DOUBLE, INT = KFloat("double", 8), KInt("int", 4, signed=True)
PARAMETERS = (
    Parameter("weights", KPointer("double *", DOUBLE, user=True)),
    Parameter("factor", DOUBLE),
    Parameter("n", INT),
)


def marker(name: str, *places: str) -> UsdtMarker:
    locations = tuple(
        UsdtLocation(VirtualAddress(0x401100 + n), FileOffset(0x1100 + n), text)
        for n, text in enumerate(places)
    )
    return UsdtMarker("scale", name, locations, VirtualAddress(0), FileOffset(0))


class Target(StaticTarget):
    def members(self, struct: KStruct) -> tuple[Member, ...]:
        return members(struct)


RETURNS: dict[str, KType] = {
    "share": KFloat("float", 4),
    "half": KOther("_Float16", 2, is_float=True, base="_Float16"),
    "precise": KOther("long double", 16, is_float=True, base="long double"),
    "turned": KOther("complex double", 16, is_float=True, base="complex"),
    "spot": by_value("FF"),
    "mixed": by_value("FI"),
    "pair": by_value("II"),
    "large": by_value("III"),
    "unclear": by_value("?"),
    "nothing": KOther("void"),
    "address": KPointer("double *", DOUBLE, user=True),
}
TARGET = Target(
    binaries={PATH: ["weigh", "bare", *RETURNS]},
    binary_functions={
        PATH: [
            Function("weigh", PARAMETERS, DOUBLE),
            *[Function(name, (), ktype) for name, ktype in RETURNS.items()],
        ]
    },
    markers={
        PATH: [
            marker("read", "8f@16(%rsp) 4f@%eax 8f@%xmm1 8@%rbx -4@%ecx 2f@%ax 8f@$1"),
            marker("moved", "8f@16(%rsp) 8f@%rax", "8f@%rax -8@%rbx"),
        ]
    },
)

(WEIGH,) = TARGET.binary_symbols(TARGET.binary(PATH), "weigh")


def values(text: str) -> list[object]:
    return [capture.value for capture in bound(text, TARGET).captures]


STACK = RegisterValue("sp")


def test_memory_and_bits_at_hand() -> None:
    deref, array, stack, register, element, natural = values(
        f"uprobe:{PATH}:weigh +8(%di):f64 +0(%di):f32[3] $stack2:f64 %ax:f32 weights[2]:f64 "
        "*weights"
    )
    assert isinstance(deref, Load)
    assert (deref.offset, deref.type) == (8, F64)
    assert isinstance(array, ArrayValue)
    assert (array.element, array.count) == (F32, 3)
    assert isinstance(stack, View)
    assert stack.type == F64
    assert register == View(RegisterValue("ax"), F32)
    assert isinstance(element, Load)
    assert (element.offset, element.type) == (16, F64)
    assert isinstance(natural, Load)
    assert (natural.offset, natural.type) == (0, F64)


def test_on_return_a_float_is_read_on_entry() -> None:
    (kept,) = values(f"uretprobe:{PATH}:weigh entry(*weights)")
    assert isinstance(kept, Kept)
    assert kept.type == F64


def test_arguments_of_markers() -> None:
    on_stack, in_register, untyped = values(f"usdt:{PATH}:read $arg1 $arg2 $arg4:f64")
    assert isinstance(on_stack, Load)
    assert on_stack.type == F64
    assert in_register == RegisterValue("ax", F32)
    assert untyped == View(RegisterValue("bx", U64), F64), "an older <sys/sdt.h>"
    (moved,) = values(f"usdt:{PATH}:moved $arg1")
    assert isinstance(moved, ByPlace)
    assert moved.type == F64


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (f"uprobe:{PATH}:weigh factor", "FLOAT_ARGUMENT", "factor is a double: it is handed over"),
        (f"uprobe:{PATH}:weigh $arg1:f64", "BAD_TYPE", "+0($arg1):f64"),
        (f"uretprobe:{PATH}:bare $retval:f64", "FLOAT_ARGUMENT", "vector registers"),
        (f"uretprobe:{PATH}:weigh $retval:f64", "FLOAT_ARGUMENT", "weigh returns a double"),
        (f"uretprobe:{PATH}:weigh retval:u64", "FLOAT_ARGUMENT", "%ax takes the register as it is"),
        (f"uretprobe:{PATH}:weigh n if $retval > 1", "FLOAT_ARGUMENT", "weigh returns a double"),
        (f"r {PATH}:{WEIGH.offset:#x} $retval", "FLOAT_ARGUMENT", "weigh returns a double"),
        (f"uretprobe:{PATH}:share $retval", "FLOAT_ARGUMENT", "share returns a float"),
        (f"uretprobe:{PATH}:half $retval", "FLOAT_ARGUMENT", "half returns a _Float16"),
        (f"uretprobe:{PATH}:precise $retval", "FLOAT_ARGUMENT", "precise returns a long double"),
        (f"uretprobe:{PATH}:turned $retval", "FLOAT_ARGUMENT", "turned returns a complex double"),
        (f"uretprobe:{PATH}:spot +0($retval):u64", "FLOAT_ARGUMENT", "spot returns a struct s"),
        (f"uretprobe:{PATH}:mixed $retval.a", "FLOAT_ARGUMENT", "$retval.a is a float (double) in"),
        (f"uretprobe:{PATH}:mixed $retval", "BAD_TYPE", "in %ax and vector registers"),
        (f"uretprobe:{PATH}:pair $retval:x64", "BAD_TYPE", "16 bytes in %ax and %dx"),
        (f"uretprobe:{PATH}:large $retval", "BAD_TYPE", "name one of its members with a dot"),
        (f"uretprobe:{PATH}:unclear $retval", "STRUCT_ARGUMENT", "does not say where"),
        (f"uretprobe:{PATH}:nothing $retval", "NO_RETVAL", "nothing returns nothing (void)"),
        (f"uprobe:{PATH}:weigh weights:f64", "BAD_TYPE", "a pointer (double *), not f64"),
        (f"uprobe:{PATH}:weigh weights[0]:f32", "BAD_TYPE", "a float (double), not f32"),
        (f"uprobe:{PATH}:weigh weights[0]:u64", "BAD_TYPE", "a float (double), not a number"),
        (f"uprobe:{PATH}:weigh n:f32", "BAD_TYPE", "an integer (int), not f32"),
        (f"uprobe:{PATH}:weigh weights[0]+1", "BAD_TYPE", "compare it in Python"),
        (f"uprobe:{PATH}:weigh weights[0] if weights[0] > 1", "BAD_TYPE", "know no floats"),
        (f"uprobe:{PATH}:weigh w=+0(%di):f64 if w == 1", "BAD_TYPE", "a float (f64)"),
        (f"uprobe:{PATH}:weigh w=+0(%di):f64 if w", "BAD_TYPE", "a float (f64)"),
        (f"uprobe:{PATH}:weigh comm:f64", "NEED_STRING_TYPE", "comm is a string"),
        (f"uprobe:{PATH}:weigh +0(%di):f16", "BAD_TYPE", "f16 is not a type"),
        (f"p {PATH}:weigh w=+0(%di):f64", "BAD_TYPE", "not a type of the kernel's definitions"),
        (f"usdt:{PATH}:read $arg3", "USDT_OPERAND", "8f@%xmm1 of the marker is in a register"),
        (f"usdt:{PATH}:read $arg5:f64", "FLOAT_ARGUMENT", "it has fewer bytes"),
        (f"usdt:{PATH}:read $arg6", "USDT_OPERAND", "2f@%ax of the marker is not a float of 4"),
        (f"usdt:{PATH}:read $arg7", "USDT_OPERAND", "8f@$1 of the marker is not a float"),
        (f"usdt:{PATH}:moved $arg2", "USDT_OPERAND", "another type at another place: f64, s64"),
        (f"usdt:{PATH}:read if $arg1 > 0", "BAD_TYPE", "a float (f64), not a number"),
    ],
)  # fmt: skip
def test_what_is_refused_by_name(text: str, code: str, words: str) -> None:
    diagnostic = complaint(text, TARGET)
    assert diagnostic.code == code
    assert words in str(diagnostic)


@pytest.mark.parametrize(
    "text",
    [
        "bare $retval", "address $retval", "mixed $retval.b", "pair $retval.a", "pair $retval.b",
        "large $retval.c", "weigh %ax:x64",
    ],
)  # fmt: skip
def test_what_the_register_of_return_values_has(text: str) -> None:
    """Numbers, addresses, members of what is in registers or in memory."""
    (value,) = values(f"uretprobe:{PATH}:{text}")
    assert isinstance(value, (ReturnValue, RegisterValue, View, Load))


def test_on_arm64_floats_of_one_kind_are_in_vector_registers() -> None:
    arch = arch_named("aarch64")
    for name in ("spot", "weigh"):
        function = Function(name, (), RETURNS.get(name, DOUBLE))
        refusal = returned(function, arch, members, Space.USER)
        assert isinstance(refusal, TargetError)
        assert "%x0 takes the register" in str(refusal)
    mixed = returned(Function("mixed", (), RETURNS["mixed"]), arch, members, Space.USER)
    assert isinstance(mixed, ByValueOperand)
    assert mixed.eights == (ReturnValue(X64), ReturnValue(X64, 1))


def test_the_record_and_its_words() -> None:
    text = f"uprobe:{PATH}:weigh w=+8(%di):f64 f=+0(%di):f32 all=+0(%di):f32[2]"
    layout = compiled(text, target=TARGET).plan.probes[0].layout
    fields = {field.name: field for field in layout.fields}
    assert (fields["w"].kind, fields["f"].size) == (FieldKind.FLOAT, 4)
    assert fields["all"].kind is FieldKind.ARRAY
    assert "f64 w;" in event_format(layout)
    assert "f32 all[2];" in event_format(layout)
    assert "w (f64)" in layout_text(layout)
