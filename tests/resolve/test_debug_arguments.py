"""Arguments of programs by name, where debug information has them."""

from __future__ import annotations

import pytest

from bpfprobe.errors import SpecError
from bpfprobe.model.ktype import KInt, Parameter, Prototype
from bpfprobe.model.scalar import Scalar
from bpfprobe.model.site import UserSite
from bpfprobe.model.value import Argument, Builtin, BuiltinValue
from bpfprobe.pipeline import describe
from bpfprobe.probes import probe
from bpfprobe.testing import StaticTarget

INT = KInt("int", 4, signed=True)
TARGET = StaticTarget(
    binaries={"/bin/p": ["f", "bare"]},
    binary_functions={
        "/bin/p": [Prototype("f", (Parameter("n", INT), Parameter("pid", INT)), INT)]
    },
    lines={"/bin/p": {"p.c:42": [0x401100, 0x401180]}},
)


def test_a_name_has_no_meaning_that_debug_information_changes() -> None:
    made = describe([probe("uprobe:/bin/p:f n $pid a=args.pid")], TARGET)
    (bound,) = made.bound.probes
    values = [capture.value for capture in bound.captures]
    number = Scalar(4, True)
    assert values == [Argument(1, number), BuiltinValue(Builtin.PID), Argument(2, number)]
    for text in ("uprobe:/bin/p:f pid", "uprobe:/bin/p:f n if pid == 3", "uprobe:/bin/p:f+4 pid"):
        with pytest.raises(SpecError) as caught:
            describe([probe(text)], TARGET)
        assert caught.value.code == "AMBIGUOUS_NAME"
        assert "$pid is the builtin" in str(caught.value.hint)


def test_without_debug_information_it_is_said_what_would_help() -> None:
    with pytest.raises(SpecError) as caught:
        describe([probe("uprobe:/bin/p:bare n")], TARGET)
    assert caught.value.code == "NOSUP_BTFARG"
    assert "build it with -g" in str(caught.value.hint)


def test_all_places_of_a_line() -> None:
    (bound,) = describe([probe("uprobe:/bin/p:p.c:42 tid")], TARGET).bound.probes
    sites = [site for site in (bound.site, *bound.more_sites) if isinstance(site, UserSite)]
    assert [(site.offset, site.symbol) for site in sites] == [
        (0x1100, "p.c:42"), (0x1180, "p.c:42"),
    ]  # fmt: skip
    with pytest.raises(SpecError) as caught:
        describe([probe("uprobe:/bin/p:p.c:43 tid")], TARGET)
    assert caught.value.code == "NO_DEBUG_INFO"
