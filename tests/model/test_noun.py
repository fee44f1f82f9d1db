"""Nouns of our own making are what `dataclasses` would have made, to all who look."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bpfprobe.model import noun
from bpfprobe.model.layout import Field, FieldKind
from bpfprobe.model.object import MapDef, MapKind
from bpfprobe.model.options import OptionError, Options
from bpfprobe.model.scalar import U8, Scalar
from bpfprobe.model.site import KernelSite

FIELD = Field("n", FieldKind.INTEGER, 8, 4, signed=True)
MAP = MapDef("m", MapKind.ARRAY, 4, 8, 1)
SITES = (KernelSite("f"), KernelSite("f", 0, False, "", 0), KernelSite("g"))


@noun.dataclass(frozen=True, slots=True)
class Ours:
    """Two of a kind."""

    one: int
    two: str = "x"

    @property
    def both(self) -> str:
        """Together."""
        return f"{self.one}{self.two}"


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    """Two of a kind."""

    one: int
    two: str = "x"


def test_it_is_made_called_and_shown_alike() -> None:
    assert inspect.signature(Ours).parameters.keys() == inspect.signature(Theirs).parameters.keys()
    assert repr(Ours(1)) == repr(Theirs(1)).replace("Theirs", "Ours")
    assert Ours(1) == Ours(1, "x") == Ours(two="x", one=1) != Ours(2)
    assert Ours(1) != Theirs(1)
    assert Ours(1) != (1, "x")
    assert hash(Ours(1)) == hash(Ours(1))
    assert len({*SITES}) == 2
    assert (Ours(1).both, Ours.__doc__) == ("1x", "Two of a kind.")
    match Ours(1, "y"):
        case Ours(one, two):
            assert (one, two) == (1, "y")


WRONG: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((), {}, "missing 1 required positional argument: 'one'"),
    ((), {"two": "x"}, "missing 1 required positional argument: 'one'"),
    ((1, "x", 2), {}, "takes from 2 to 3 positional arguments but 4 were given"),
    ((1,), {"three": 3}, "unexpected keyword argument 'three'"),
    ((1,), {"one": 1}, "multiple values for argument 'one'"),
    ((1, "x"), {"one": 1, "two": "x"}, "multiple values for argument 'one'"),
]


@pytest.mark.parametrize("made", [0, 100], ids=["the first", "after many"])
@pytest.mark.parametrize(("given", "named", "words"), WRONG)
def test_what_is_missing_or_too_much(
    given: tuple[Any, ...], named: dict[str, Any], words: str, made: int
) -> None:
    noun_class = a_class()
    for _ in range(made):
        noun_class(1)
    with pytest.raises(TypeError, match=words):
        noun_class(*given, **named)
    assert noun_class(1) == noun_class(one=1, two="x")


def a_class() -> Any:
    """One of which nothing has been made yet."""

    @noun.dataclass(frozen=True, slots=True)
    class Fresh:
        one: int
        two: str = "x"

        def __post_init__(self) -> None:
            if self.one < 0:
                raise ValueError("below 0")

    return Fresh


def test_the_first_and_the_hundredth_are_alike() -> None:
    noun_class = a_class()
    for n in range(101):
        assert repr(noun_class(n)).endswith(f"Fresh(one={n}, two='x')")
        assert noun_class(n) == noun_class(n, "x") == noun_class(two="x", one=n)
        with pytest.raises(ValueError, match="below 0"):
            noun_class(-n - 1)
    assert str(inspect.signature(noun_class)).replace(" -> None", "") == "(one, two='x')"


def test_one_of_nothing() -> None:
    @noun.dataclass(frozen=True, slots=True)
    class Nothing:
        """Nothing."""

    for _ in range(101):
        assert Nothing() == Nothing()
        assert (hash(Nothing()), len({Nothing(), Nothing()})) == (hash(Nothing()), 1)
        with pytest.raises(TypeError):
            Nothing(1)  # type: ignore[call-arg]
    assert noun.field_names(Nothing()) == ()


def test_which_are_nouns() -> None:
    assert noun.is_noun(FIELD)
    assert not noun.is_noun(Field)
    assert not any(noun.is_noun(other) for other in (Theirs(1), 1, None, "x", (FIELD,)))
    assert noun.field_names(Ours(1)) == ("one", "two")


def test_it_cannot_be_changed() -> None:
    for change in (lambda: setattr(FIELD, "name", "m"), lambda: delattr(FIELD, "name")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    with pytest.raises(AttributeError):
        FIELD.nothing = 1  # type: ignore[attr-defined]
    assert not hasattr(FIELD, "__dict__")


@pytest.mark.parametrize("value", [FIELD, MAP, U8, SITES[2], Options(pid=7)], ids=str)
def test_dataclasses_knows_it(value: Any) -> None:
    assert dataclasses.is_dataclass(value)
    assert dataclasses.is_dataclass(type(value))
    names = [part.name for part in dataclasses.fields(value)]
    assert names == list(type(value).__slots__) == list(dataclasses.asdict(value))
    assert dataclasses.replace(value) == noun.replace(value) == value
    assert copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value


def test_changes() -> None:
    for replace in (dataclasses.replace, noun.replace):
        changed = replace(FIELD, offset=16)
        assert changed == Field("n", FieldKind.INTEGER, 16, 4, signed=True)
        with pytest.raises(TypeError):
            replace(FIELD, nothing=1)
        with pytest.raises(OptionError):
            replace(Options(), transport="none")
    assert [part.default for part in dataclasses.fields(Scalar)][:2] == [dataclasses.MISSING] * 2


def test_keywords_alone() -> None:
    with pytest.raises(TypeError):
        Options("ring")  # type: ignore[misc]
    assert Options(transport="ring").transport == "ring"
    assert all(part.kw_only for part in dataclasses.fields(Options))


def test_making_one_imports_nothing() -> None:
    code = "import sys, bpfprobe.model.object, bpfprobe.errors; print('dataclasses' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"
