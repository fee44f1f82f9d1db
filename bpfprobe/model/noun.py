"""Frozen dataclasses that cost a start little.

Making one with `dataclasses` takes a third of a millisecond, and importing it five, which is more
than the kernel takes to load a program. What a start needs is made here instead, and is the same to
all who look: type checkers take it for a dataclass, and so do the functions of `dataclasses`, which
is imported when one of them asks for the fields.
"""

from __future__ import annotations

from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import replace as replace
    from typing import Any

_DEFAULTS = "__noun_defaults__"


class _Fields:
    """``__dataclass_fields__``, made when it is first asked for."""

    def __init__(self, *, kw_only: bool) -> None:
        self._kw_only = kw_only

    def __get__(self, instance: object, owner: type) -> Any:
        import dataclasses

        body = {
            "__annotations__": owner.__annotations__,
            "__module__": owner.__module__,
            **getattr(owner, _DEFAULTS),
        }
        like_it: Any = dataclasses.dataclass(kw_only=self._kw_only)(type(owner.__name__, (), body))
        made = like_it.__dataclass_fields__
        type.__setattr__(owner, "__dataclass_fields__", made)
        return made


def _make(cls: type, *, kw_only: bool) -> type:
    names = tuple(cls.__annotations__)
    body = dict(cls.__dict__)
    defaults = {name: body.pop(name) for name in names if name in body}
    for name in ("__dict__", "__weakref__"):
        body.pop(name, None)
    values = attrgetter(*names)

    def __eq__(self: Any, other: object) -> Any:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(values(self))

    def __repr__(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    def __getstate__(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def __setstate__(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    given = {
        "__eq__": __eq__,
        "__hash__": __hash__,
        "__repr__": __repr__,
        "__getstate__": __getstate__,
        "__setstate__": __setstate__,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__init__": _initializer(names, defaults, body, kw_only=kw_only),
        "__slots__": names,
        "__match_args__": () if kw_only else names,
        "__dataclass_fields__": _Fields(kw_only=kw_only),
        _DEFAULTS: defaults,
    }
    return type(cls)(cls.__name__, cls.__bases__, given | body)


def _initializer(
    names: tuple[str, ...], defaults: dict[str, Any], body: dict[str, Any], *, kw_only: bool
) -> Any:
    """``__init__``, printed, so that it has the signature that people are shown."""
    scope: dict[str, Any] = {"_set": object.__setattr__}
    scope |= {f"_{name}": default for name, default in defaults.items()}
    parameters = [f"{name}=_{name}" if name in defaults else name for name in names]
    lines = [f" _set(self, {name!r}, {name})" for name in names]
    if "__post_init__" in body:
        lines.append(" self.__post_init__()")
    head = ", ".join(["self", *(["*"] if kw_only else []), *parameters])
    exec(f"def __init__({head}):\n" + "\n".join(lines), scope)  # our own names
    return scope["__init__"]


def _refuse(self: object, name: str, value: object = None) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


if not TYPE_CHECKING:

    def dataclass(*, frozen: bool, slots: bool, kw_only: bool = False):
        """`dataclasses.dataclass`, of frozen ones with slots, plain defaults and no bases."""
        assert frozen
        assert slots
        return lambda cls: _make(cls, kw_only=kw_only)

    def replace(noun, /, **changes):
        """`dataclasses.replace`."""
        return type(noun)(**{name: getattr(noun, name) for name in noun.__slots__} | changes)
