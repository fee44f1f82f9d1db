"""Words that are in a mangled name as they are in the source's: few names need be demangled.

An identifier stands in a mangled name at least once as it is written; what stands there in another
way are the words below or parts of them, numbers, and in Rust letters beyond ASCII.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST_LIKE = 400
"""A name of Rust takes a tenth of a millisecond to demangle."""

_CLASS = regex(r"\[[^\]]*\]")
_WORD = regex(r"[^\W\d]\w*")
_IDENTIFIER = regex(r"\w+")
_NOT_THERE = (
    # https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling: types, operators, expressions,
    # special names and the abbreviations of 5.1.10
    "std allocator basic_string string char_traits basic_istream istream basic_ostream ostream "
    "basic_iostream iostream void wchar_t bool char signed unsigned short int long __int128 float "
    "double __float128 __ibm128 char8_t char16_t char32_t decltype nullptr_t nullptr auto operator "
    "new delete const volatile restrict __restrict lambda unnamed type anonymous namespace default "
    "arg vtable VTT typeinfo name fn for non-virtual thunk to virtual covariant return guard "
    "variable reference temporary clone sizeof true false noexcept this throw _Complex _Imaginary "
    "complex imaginary enable_if template parameter object TLS init function wrapper construction "
    "in transaction alignof alignas co_await static_cast dynamic_cast reinterpret_cast const_cast "
    "typeid typename class struct union enum requires abi decimal32 decimal64 decimal128 half "
    "parm friend fp "
    "java resource hidden alias structured binding global constructors keyed destructors "
    "initializer_list block_literal unnamed_type invocation block initializer module __vector "
    "bitint _BitInt unsigned_BitInt _Float16 _Float32 _Float64 _Float128 std__ bfloat16_t __bf16 "
    # https://doc.rust-lang.org/rustc/symbol-mangling/v0.html
    "i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f16 f32 f64 f128 str as mut dyn impl "
    "unsafe extern closure shim ptr"
)


def needed_words(pattern: str, *, are_whole: bool = False) -> tuple[str, ...]:
    """Words of a glob that are in every mangled name whose source's name fits.

    Those of a name are whole; those of a glob may be a part of a word.
    """
    words = _WORD.findall(pattern if are_whole else _CLASS.sub("*", pattern))
    absent = frozenset(_NOT_THERE.split()) if are_whole else _NOT_THERE
    return tuple(word for word in words if word.isascii() and word not in absent)


def most_like(name: str, mangled: Iterable[str]) -> Sequence[str]:
    """The mangled names that share the most pairs of neighbouring letters with a source's name.

    Of those that share as many, the shortest.
    """
    words = _IDENTIFIER.findall(name)
    pairs = {word[at : at + 2] for word in words for at in range(len(word) - 1)} or {*words}
    scored = [(sum([pair in one for pair in pairs]), -len(one), one) for one in mangled]
    return [one for _, _, one in heapq.nlargest(_MOST_LIKE, scored)]
