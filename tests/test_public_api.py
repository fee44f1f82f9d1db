"""What a user may import, and that it says what it does."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe
from bpfprobe import errors, testing

if TYPE_CHECKING:
    from types import ModuleType

PUBLIC = [(name, getattr(bpfprobe, name)) for name in bpfprobe.__all__]


def test_all_is_sorted_and_complete() -> None:
    assert list(bpfprobe.__all__) == sorted(bpfprobe.__all__)
    assert len(set(bpfprobe.__all__)) == len(bpfprobe.__all__)
    bound = {
        name
        for name, value in vars(bpfprobe).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert bound - {"annotations", "TYPE_CHECKING"} <= set(bpfprobe.__all__)


@pytest.mark.parametrize("module", [bpfprobe, testing])
def test_type_checkers_are_told_of_the_same_names(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    told = {
        name.asname: node.module
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert told == module._HOMES


@pytest.mark.parametrize(("name", "thing"), PUBLIC)
def test_everything_public_is_documented_and_typed(name: str, thing: Any) -> None:
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        own = {n: v for n, v in vars(thing).items() if not n.startswith("_")}
        for member, value in own.items():
            if inspect.isfunction(value) or isinstance(value, (property, classmethod)):
                assert inspect.getdoc(value), f"{name}.{member}"
    elif inspect.isfunction(thing):
        hints = inspect.signature(thing)
        assert hints.return_annotation is not inspect.Signature.empty
        for parameter in hints.parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty, parameter.name


def test_every_error_is_in_the_tree_that_the_docstring_draws() -> None:
    drawn = set(re.findall(r"(\w+Error)\b", errors.__doc__ or ""))
    found = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, BaseException)
    }
    assert found == drawn
    assert found <= set(bpfprobe.__all__)
    for name in found - {"BpfprobeError"}:
        assert issubclass(getattr(errors, name), errors.BpfprobeError)
    codes = [vars(getattr(errors, name)).get("code") for name in found]
    assert None not in codes
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("name", sorted(testing._HOMES))
def test_the_fakes_are_found_and_documented(name: str) -> None:
    thing = getattr(testing, name)
    assert thing is getattr(import_module(testing._HOMES[name]), name)
    assert inspect.getdoc(thing)
    assert f"`{name}`" in (testing.__doc__ or "") or name in ("RecordingTarget",)


def test_no_other_name_is_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = testing.nothing
    with pytest.raises(AttributeError):
        _ = bpfprobe.nothing  # type: ignore[attr-defined]


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", bpfprobe.__version__)
