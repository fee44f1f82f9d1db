from __future__ import annotations

import doctest

import pytest

from bpfprobe.errors import TargetError
from bpfprobe.testing import StaticTarget, static_target
from bpfprobe.testing.static_types import StaticTypes


def test_the_docstring_tells_the_truth() -> None:
    outcome = doctest.testmod(static_target)
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize(
    ("declarations", "places", "size"),
    [
        ("u8 a; u32 b; u16 c", [("a", 0), ("b", 4), ("c", 8)], 12),
        ("char comm[16]; void *p", [("comm", 0), ("p", 16)], 24),
        ("u8 a; union { u64 w; struct { u32 lo, hi; }; }", [("a", 0), ("", 8)], 16),
        ("int (*fn)(int, void *); bool on", [("fn", 0), ("on", 8)], 16),
        ("u8 grid[3][2]; u16 last", [("grid", 0), ("last", 6)], 8),
        ("unsigned long flags; u8 tail[]", [("flags", 0), ("tail", 8)], 8),
        ("enum zone_type zone; struct list_head *next", [("zone", 0), ("next", 8)], 16),
    ],
)
def test_members_are_laid_out_as_c_does(
    declarations: str, places: list[tuple[str, int]], size: int
) -> None:
    types = StaticTypes({"s": declarations}, {})
    struct = types.struct("s")
    assert struct is not None
    assert [(member.name, member.offset) for member in types.members(struct)] == places
    assert struct.size == size


def test_bit_fields_never_cross_their_unit() -> None:
    types = StaticTypes({"s": "u32 a : 3; u32 b : 30; u8 c : 1"}, {})
    struct = types.struct("s")
    assert struct is not None
    found = [(m.name, m.offset, m.bit_offset, m.bit_size) for m in types.members(struct)]
    assert found == [("a", 0, 0, 3), ("b", 4, 0, 30), ("c", 7, 6, 1)]
    assert struct.size == 8


@pytest.mark.parametrize(
    "signature",
    [
        "int f(void)",
        "unsigned long f(const char **argv, ...)",
        "bool f(struct page *page, union bpf_attr *attr, unsigned int flags)",
    ],
)
def test_a_signature_prints_as_it_was_given(signature: str) -> None:
    assert str(StaticTypes({}, {}).read_prototype(signature)) == signature


@pytest.mark.parametrize("text", ["int f(", "int f(int a", "int", "int f(what? a)", "int f() g"])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        StaticTypes({}, {}).read_prototype(text)


def test_a_typedef_of_a_struct_is_a_struct() -> None:
    target = StaticTarget(typedefs={"atomic_t": "struct { int counter; }"})
    struct = target.struct("atomic_t")
    assert struct is not None
    assert struct.spelling == "atomic_t"
    assert [member.name for member in target.members(struct)] == ["counter"]


@pytest.mark.parametrize("name", ["c", "libc", "libc.so.6", "/usr/lib/libc.so.6"])
def test_a_library_goes_by_many_names(name: str) -> None:
    target = StaticTarget(binaries={"/usr/lib/libc.so.6": ["malloc"]})
    binary = target.binary(name)
    (symbol,) = target.binary_symbols(binary, "malloc")
    assert symbol.offset == 0x1100
    assert symbol.address == 0x401100


def test_a_binary_can_be_an_error() -> None:
    target = StaticTarget(binaries={"/tmp/x": TargetError("no", code="NOT_ELF")})
    with pytest.raises(TargetError) as caught:
        target.binary("/tmp/x")
    assert caught.value.code == "NOT_ELF"


def test_modules_and_unreadable_lists() -> None:
    target = StaticTarget(
        functions=["bool nf_ct_delete(struct nf_conn *ct) [nf_conntrack]"],
        blacklisted=None,
        untraceable={"nf_ct_delete"},
    )
    assert target.symbols("nf_ct_delete")[0].module == "nf_conntrack"
    assert target.prototype("nf_ct_delete") is None
    assert target.prototype("nf_ct_delete", "nf_conntrack") is not None
    assert target.is_blacklisted("nf_ct_delete") is None
    assert target.is_traceable("nf_ct_delete") is False
