"""Arguments of programs by name, where debug information has them."""

from __future__ import annotations

import pytest

from bpfprobe.errors import SpecError
from bpfprobe.model.ktype import KInt, Parameter, Prototype
from bpfprobe.model.scalar import Scalar
from bpfprobe.model.site import UserSite
from bpfprobe.model.value import Argument
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


def test_a_builtin_keeps_its_meaning() -> None:
    """So that it does not change with debug information being installed."""
    made = describe([probe("uprobe:/bin/p:f n pid")], TARGET)
    (bound,) = made.bound.probes
    assert bound.captures[0].value == Argument(1, Scalar(4, True))
    assert not isinstance(bound.captures[1].value, Argument)


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
