from __future__ import annotations

from itertools import pairwise

import pytest

import bpfprobe as bp
from tests.sample_machine import machine, one_plan

WIDE = {
    "wide": (
        "u32 a; u32 b; u8 c; u8 skipped[3]; u16 d; u8 far[9]; u64 e; u64 f; u64 more[4]; u64 g; "
        "u32 bits : 3; u32 h; struct wide *next;"
    ),
    "either": "union { u64 whole; struct { u32 low; u32 high; }; }; u32 behind;",
}
TARGET = machine(
    structs=WIDE,
    functions=["int take(struct wide *w, struct either *x, struct wide *v)"],
)


@pytest.mark.parametrize(
    ("captures", "together"),
    [
        ("w->a w->b", ["a b"]),
        ("w->b w->a", ["a b"]),
        ("w->a w->d", ["a d"]),  # eight bytes lie between them
        ("w->a w->b w->c w->d", ["a b c d"]),
        ("w->d w->e", []),  # fourteen
        ("w->a", []),
        ("w->a again=w->a w->b", []),  # what is needed twice is read to where both find it
        ("w->a w->b w->e w->f", ["a b", "e f"]),
        ("w->a v->b", []),
        ("w->g w->h bits=w->bits", ["g h"]),
        ("w->next->a w->next->b", ["a b"]),
        ("w->next w->next->a w->next->b", ["a b"]),
        ("x->whole x->low x->behind", ["whole behind"]),
        ("x->low x->whole x->high", ["low high"]),
        ("x->low x->high x->behind", ["low high behind"]),
        ("w->a w->b if w->a == 1", []),
        ("w->a w->b w->c if w->a == 1", ["b c"]),
        ("w->a w->b if w->c == 1", ["a b"]),
        ("a=$arg1 b=+0($arg1):u32 c=+4($arg1):u32", []),  # no struct of which it is known
    ],
)
def test_members_near_each_other_are_read_at_once(captures: str, together: list[str]) -> None:
    text, _, condition = captures.partition(" if ")
    given = [part.rpartition("=") for part in text.split()]
    named = {name or value.rpartition(">")[2]: value for name, _, value in given}
    plan = one_plan(bp.kprobe("take", captures=named, filter=condition or None), target=TARGET)
    assert [" ".join(read.names) for read in plan.ranges] == together


def test_a_range_stands_in_the_event_as_in_the_struct() -> None:
    captures = {"u": "v->c", "d": "w->d", "b": "w->b", "e": "w->e", "f": "w->f", "n": "v->e"}
    plan = one_plan(bp.kprobe("take", captures=captures), target=TARGET)
    assert [(read.names, read.size) for read in plan.ranges] == [(("b", "d"), 10), (("e", "f"), 16)]
    at = {name: plan.layout.field(name).offset for name in captures}
    assert at["f"] - at["e"] == 8
    assert at["d"] - at["b"] == 8
    assert all(at[name] % plan.layout.field(name).size == 0 for name in captures)
    taken = sorted((at[name], at[name] + plan.layout.field(name).size) for name in captures)
    assert all(end <= start for (_, end), (start, _) in pairwise(taken))
    assert [field.name for field in plan.layout.fields][6:] == list(captures)


def test_no_range_is_longer_than_64_bytes() -> None:
    members = "; ".join(f"u64 m{number}" for number in range(19)) + ";"
    target = machine(structs={"long_one": members}, functions=["int use(struct long_one *l)"])
    captures = {f"m{number}": f"l->m{number}" for number in range(19)}
    plan = one_plan(bp.kprobe("use", captures=captures), target=target)
    assert [read.size for read in plan.ranges] == [64, 64, 24]


def test_user_memory_may_end_at_any_page() -> None:
    target = machine(structs=WIDE, functions=["int take(struct wide __user *w)"])
    assert one_plan(bp.kprobe("take", a="w->a", b="w->b"), target=target).ranges == ()
