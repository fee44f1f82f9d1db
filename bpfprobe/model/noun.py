"""Frozen dataclasses that cost a start little.

Making a class with `dataclasses` takes a third of a millisecond, and importing it five, which is
more than the kernel takes to load a program. What a start needs is made here instead, and is the
same to all who look: type checkers take it for a dataclass, and so do the functions of
`dataclasses`, which is imported when one of them asks for the fields.
"""

from __future__ import annotations

from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass
    from dataclasses import replace as replace
    from typing import Any

_DEFAULTS = "__noun_defaults__"
_MANY = 30  # as many as take as long to make as it takes to print what makes them quicker


class _Fields:
    """``__dataclass_fields__`` and ``__dataclass_params__``, made when first asked for."""

    def __init__(self, name: str, *, kw_only: bool) -> None:
        self._name = name
        self._kw_only = kw_only

    def __get__(self, instance: object, owner: type) -> Any:
        import dataclasses

        body = {
            "__annotations__": owner.__annotations__,
            "__module__": owner.__module__,
            **getattr(owner, _DEFAULTS),
        }
        like_it = type(owner.__name__, (), body)
        made: Any = dataclasses.dataclass(frozen=True, kw_only=self._kw_only)(like_it)
        for name in ("__dataclass_fields__", "__dataclass_params__"):
            type.__setattr__(owner, name, getattr(made, name))
        return getattr(made, self._name)


class _Signature:
    """``__signature__``: that of the initializer as it would have been printed."""

    def __init__(self, initializer: Callable[[], Any]) -> None:
        self._initializer = initializer

    def __get__(self, instance: object, owner: type) -> Any:
        import inspect

        signature = inspect.signature(self._initializer())
        return signature.replace(parameters=list(signature.parameters.values())[1:])


def _make(cls: type, *, kw_only: bool) -> type:
    names = tuple(cls.__annotations__)
    body = dict(cls.__dict__)
    defaults = {name: body.pop(name) for name in names if name in body}
    for name in ("__dict__", "__weakref__"):
        body.pop(name, None)
    values: Any = attrgetter(*names) if names else lambda noun: ()
    made = 0

    def initializer() -> Any:
        return _initializer(names, defaults, body, kw_only=kw_only)

    def __init__(self: Any, *given: Any, **named: Any) -> None:
        nonlocal made
        made += 1
        arranged = _arranged(names, defaults, given, named) if made < _MANY else None
        if arranged is None or (kw_only and given):
            type.__setattr__(noun, "__init__", initializer())
            noun.__init__(self, *given, **named)
            return
        for name, value in zip(names, arranged, strict=True):
            object.__setattr__(self, name, value)
        if "__post_init__" in body:
            self.__post_init__()

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
        "__init__": __init__,
        "__eq__": __eq__,
        "__hash__": __hash__,
        "__repr__": __repr__,
        "__getstate__": __getstate__,
        "__setstate__": __setstate__,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__signature__": _Signature(initializer),
        "__slots__": names,
        "__match_args__": () if kw_only else names,
        "__dataclass_fields__": _Fields("__dataclass_fields__", kw_only=kw_only),
        "__dataclass_params__": _Fields("__dataclass_params__", kw_only=kw_only),
        _DEFAULTS: defaults,
    }
    noun: Any = type(cls)(cls.__name__, cls.__bases__, given | body)
    return noun  # type: ignore[no-any-return]  # made of a type


def _arranged(
    names: tuple[str, ...], defaults: dict[str, Any], given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Any, ...] | None:
    """A value for each name; None where one is missing, or there is one too many."""
    if not named and len(given) == len(names):
        return given
    rest = names[len(given) :]
    if len(given) > len(names) or any(name not in rest for name in named):
        return None
    try:
        return given + tuple(named[name] if name in named else defaults[name] for name in rest)
    except KeyError:
        return None


def _initializer(
    names: tuple[str, ...], defaults: dict[str, Any], body: dict[str, Any], *, kw_only: bool
) -> Any:
    """``__init__``, printed: quicker, with the signature and the errors that people are shown.

    To print it takes as long as to make some tens of nouns.
    """
    scope: dict[str, Any] = {"_set": object.__setattr__}
    scope |= {f"_{name}": default for name, default in defaults.items()}
    parameters = [f"{name}=_{name}" if name in defaults else name for name in names]
    lines = [f" _set(self, {name!r}, {name})" for name in names] or [" pass"]
    if "__post_init__" in body:
        lines.append(" self.__post_init__()")
    head = ", ".join(["self", *(["*"] if kw_only else []), *parameters])
    exec(f"def __init__({head}):\n" + "\n".join(lines), scope)  # our own names
    return scope["__init__"]


def is_noun(value: object) -> bool:
    """Whether it is one."""
    return hasattr(type(value), _DEFAULTS)


def field_names(noun: object) -> tuple[str, ...]:
    """The names of what it is made of."""
    names: tuple[str, ...] = type(noun).__slots__  # type: ignore[attr-defined]  # it has them
    return names


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
