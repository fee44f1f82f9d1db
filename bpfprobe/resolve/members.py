"""Members of structs, through anonymous structs and unions as C finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import KStruct
from bpfprobe.model.noun import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.ktype import Member
    from bpfprobe.target import Target


def find_member(target: Target, struct: KStruct, name: str) -> Member | None:
    """The member of that name, its offset counted from the start of ``struct``; None if none.

    A class's own hides those of its bases; raises `TargetError` (AMBIGUOUS_MEMBER) where several of
    these have one.

    ``sk_dport`` and its like in a ``struct sock`` are macros, ``__sk_common.skc_dport``
    (include/net/sock.h), of which BTF knows nothing.
    """
    if struct.in_program:
        return _in_class(target, struct, name)
    found = next((m for m in all_members(target, struct) if m.name == name), None)
    if found is None and struct.name == "sock" and name.startswith("sk_"):
        common = find_member(target, struct, "__sk_common")
        if common is not None and isinstance(common.type, KStruct):
            inner = find_member(target, common.type, f"skc_{name.removeprefix('sk_')}")
            return inner and replace(inner, offset=inner.offset + common.offset)
    return found


def _in_class(target: Target, struct: KStruct, name: str) -> Member | None:
    members = target.members(struct)
    for member in members:
        if member.name == name:
            return member
    found: list[Member] = []
    for outer in members:
        if not outer.name and isinstance(outer.type, KStruct):
            inner = _in_class(target, outer.type, name)
            if inner is not None:
                found.append(replace(inner, offset=inner.offset + outer.offset))
    if len(found) > 1:
        places = " and ".join(str(one.offset) for one in found)
        raise TargetError(
            f"{struct.spelling} has {len(found)} members {name}, of different bases",
            code="AMBIGUOUS_MEMBER",
            hint=f"they are {places} bytes from its beginning: +OFFSET(ADDRESS):TYPE reads one",
        )
    return found[0] if found else None


def all_members(target: Target, struct: KStruct) -> Iterator[Member]:
    """Every member that C reaches by a bare name."""
    for member in target.members(struct):
        if member.name:
            yield member
        elif isinstance(member.type, KStruct):
            for inner in all_members(target, member.type):
                yield replace(inner, offset=inner.offset + member.offset)


def similar_members(target: Target, struct: KStruct, name: str) -> list[str]:
    """Return at most three: members of that name of structs inside, else those of a near name."""
    inside = [
        f"{outer.name}.{name}"
        for outer in all_members(target, struct)
        if isinstance(outer.type, KStruct) and _has_member(target, outer.type, name)
    ]
    if inside:
        return inside[:3]
    from difflib import get_close_matches  # only mistakes want it

    return get_close_matches(name, [m.name for m in all_members(target, struct)], n=3, cutoff=0.5)


def _has_member(target: Target, struct: KStruct, name: str) -> bool:
    try:
        return find_member(target, struct, name) is not None
    except TargetError:  # a recording that was never asked
        return False
