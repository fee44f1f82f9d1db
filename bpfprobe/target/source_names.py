"""Mangled names of an ELF file by what their source calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_TEXT = 64 << 20
"""Letters of all names of one file, more than a browser's have; what comes after stays mangled."""

_TAG = regex(r"\[abi:\w+\]")
_QUALIFIER = regex(r"(?: (?:const|volatile)| ?&{1,2})+$")
MANGLED = ("_Z", "_R")


def looks_like_source(name: str) -> bool:
    """Whether a name can only be one of a source: ``::`` and brackets stand in no C name."""
    return "::" in name or "(" in name


def spellings(source_name: str) -> tuple[str, ...]:
    """What a function may be called, the most exact first.

    With parameters, without them, without the arguments of the template at its end;
    ``<Type<T>>::method`` of Rust as ``Type::method`` too; with the type that a template returns.
    """
    if " [clone " in source_name:  # a part of the function that the compiler put elsewhere
        return tuple(dict.fromkeys((without_type(source_name), source_name)))
    whole = _QUALIFIER.sub("", _TAG.sub("", source_name))
    untyped = _without_type(whole)
    bare = _without_brackets(untyped, "(", ")")
    plain = _without_brackets(bare, "<", ">").removesuffix("::").rstrip()
    forms = [untyped, bare, plain, *(_of_type(form) for form in (bare, plain)), whole]
    return tuple(dict.fromkeys(form for form in forms if form))


def without_type(source_name: str) -> str:
    """The name without the type that a template returns, as it can be typed."""
    name, clone, rest = source_name.partition(" [clone ")
    qualifier = _QUALIFIER.search(name)
    end = qualifier.start() if qualifier else len(name)
    return _without_type(name[:end]) + name[end:] + clone + rest


def _of_type(name: str) -> str:
    """A method of Rust by its type without brackets and arguments; empty for a trait's."""
    depth = 0
    for at, letter in enumerate(name):
        depth += (letter == "<") - _closes(name, at, ">")
        if depth == 0:
            owner = name[1:at]
            if " as " in _outside(owner) or not name.startswith("<"):
                return ""
            return _without_brackets(owner, "<", ">") + name[at + 1 :]
    return ""


def _outside(name: str) -> str:
    """What stands in no bracket."""
    depth, kept = 0, ""
    for at, letter in enumerate(name):
        depth += (letter == "<") - _closes(name, at, ">")
        kept += letter if depth == 0 else ""
    return kept


def _closes(name: str, at: int, closing: str) -> bool:
    """Whether a bracket closes there; that of an arrow does not."""
    return name[at] == closing and (closing != ">" or name[at - 1 : at] != "-")


def _without_brackets(name: str, opening: str, closing: str) -> str:
    """The name without the pair of brackets that it ends in."""
    if not name.endswith(closing) or name.endswith(("operator()", "->", "operator>", "operator>>")):
        return name
    depth = 0
    for at in range(len(name) - 1, 0, -1):
        depth += _closes(name, at, closing) - (name[at] == opening)
        if depth == 0:
            return name[:at]
    return name


def _without_type(name: str) -> str:
    """The name without a type before it, which stands apart outside of all brackets."""
    depth, start = 0, 0
    for at, letter in enumerate(name):
        if name.startswith("operator", at) and depth == 0:
            break
        depth += (letter in "(<[{") - _closes(name, at, letter if letter in ")>]}" else "")
        if letter == " " and depth == 0:
            start = at + 1
    return name[start:]


class SourceNames:
    """The mangled ones among ``names``, by the names in their sources."""

    def __init__(self, names: Iterable[str]) -> None:
        self._mangled = sorted(name for name in names if name.startswith(MANGLED))
        self._room = _MOST_TEXT

    def find(self, name: str) -> tuple[tuple[str, str], ...]:
        """(mangled, in the source) of each function that a name means.

        Raises `TargetError` (NO_DEMANGLER) where that cannot be told.
        """
        wanted = _QUALIFIER.sub("", _TAG.sub("", name.removeprefix("::")))
        likely = list(self._likely(wanted))
        if not likely:
            return ()
        if any(mangled.startswith("_Z") for mangled in likely):
            self._need_demangler(name)
        best: dict[int, list[tuple[str, str]]] = {}
        for mangled, source in self._demangled(likely):
            forms = spellings(source)
            if wanted in forms:
                best.setdefault(forms.index(wanted), []).append((mangled, source))
        return tuple(best[min(best)]) if best else ()

    def _likely(self, name: str) -> Iterator[str]:
        """Those that hold the words of the name, which are in a mangled name as they are."""
        from bpfprobe.target.mangled_words import needed_words

        words = needed_words(name, are_whole=True)
        return (mangled for mangled in self._mangled if all(word in mangled for word in words))

    def of(self, mangled: str) -> str:
        """The source's name of a symbol as it can be typed, empty for one that is not mangled."""
        if not mangled.startswith(MANGLED):
            return ""
        found = next((source for _, source in self._demangled([mangled])), "")
        self._room -= len(found)
        return without_type(found) if self._room >= 0 else ""

    def fitting(self, pattern: str) -> tuple[str, ...]:
        """The mangled names whose source's name fits a glob, sorted."""
        from bpfprobe.target.mangled_words import needed_words
        from bpfprobe.target.nearness import matching_names

        words = needed_words(pattern)
        likely = [name for name in self._mangled if all(word in name for word in words)]
        forms = {name: spellings(source)[:2] for name, source in self._demangled(likely)}
        fits = {*matching_names(pattern, {form for some in forms.values() for form in some})}
        return tuple(name for name, some in forms.items() if fits.intersection(some))

    def similar(self, name: str) -> tuple[str, ...]:
        """At most five names of the source that look like one."""
        from bpfprobe.target.mangled_words import most_like
        from bpfprobe.target.nearness import nearest_names

        at = 0 if "(" in name else 1
        sources = (source for _, source in self._demangled(most_like(name, self._mangled)))
        return nearest_names(
            name, (some[min(at, len(some) - 1)] for some in map(spellings, sources))
        )

    def _demangled(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        from bpfprobe.target.demangler import the_demangler

        room = _MOST_TEXT
        for name in names:
            source = the_demangler().demangle(name)
            room -= len(source)
            if room < 0:
                return
            if source:
                yield name, source

    def _need_demangler(self, name: str) -> None:
        from bpfprobe.target.demangler import the_demangler

        if looks_like_source(name) and not the_demangler().is_there:
            raise TargetError(
                f"{name} cannot be told from mangled names: libstdc++.so.6 is not there",
                code="NO_DEMANGLER",
                hint="install it (Debian: libstdc++6), or name the function as nm(1) prints it",
            )
