"""Functions made at random, of no language yet, and what a probe of each must see.

`functions` makes them, the same for a seed; `random_sources` turns them into
a program's source. Each function has a name, f0 and so on, its parameters p0, p1, its structs'
members m0, m1. A program has a ``call_all`` that calls every function once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

Value = int | float | str | tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number or text: s8 to s64, u8 to u64, bool, f32, f64, address, text."""

    name: str


@dataclass(frozen=True, slots=True)
class Array:
    """Scalars next to one another."""

    element: Scalar
    count: int


@dataclass(frozen=True, slots=True)
class Struct:
    """Members m0, m1 and so on; ``is_class`` where copying it runs code (a destructor of C++)."""

    name: str
    members: tuple[Scalar | Array | Struct, ...]
    is_class: bool = False


Type = Scalar | Array | Struct


@dataclass(frozen=True, slots=True)
class Parameter:
    """What one argument is. ``by_address`` for a pointer, a reference, Fortran's usual way.

    ``is_used`` where the function hands its address on, so that it is in memory from then on.
    """

    type: Type
    by_address: bool
    is_used: bool
    value: Value


@dataclass(frozen=True, slots=True)
class Function:
    """A function, the one call that is made of it, and what it returns."""

    name: str
    parameters: tuple[Parameter, ...]
    result: Type | None
    returned: Value

    @property
    def structs(self) -> list[Struct]:
        """Those that it takes and returns."""
        types = [*(one.type for one in self.parameters), self.result]
        return [one for one in types if isinstance(one, Struct)]


@dataclass(frozen=True, slots=True)
class Choices:
    """What a language has, to be chosen from."""

    scalars: tuple[str, ...]
    by_address: float
    """The share of parameters that are handed over by their address."""
    arrays: bool
    classes: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A capture, and the value that it must have where it is not refused."""

    text: str
    value: Value
    by_address: bool


def functions(seed: int, count: int, choices: Choices) -> list[Function]:
    """Return ``count`` functions; no later one changes those before it."""
    return [_function(random.Random(f"{seed} {n}"), n, choices) for n in range(count)]


def on_entry(function: Function, *, pointers: bool) -> list[Asked]:
    """Return each number of the arguments, by name and by number; ``pointers`` as in C."""
    asked = []
    for n, one in enumerate(function.parameters):
        for base in (f"p{n}", f"$arg{n + 1}"):
            asked += [
                Asked(text, value, one.by_address)
                for text, value in _parts(base, one.type, one.value, one.by_address and pointers)
            ]
    return asked


def on_return(function: Function) -> list[Asked]:
    """Return each number of the result."""
    if function.result is None:
        return []
    parts = _parts("$retval", function.result, function.returned, False)
    return [Asked(text, value, False) for text, value in parts]


def _parts(base: str, ktype: Type, value: Value, is_pointer: bool) -> list[tuple[str, Value]]:
    if isinstance(ktype, Scalar):
        place = f"{base}[0]" if is_pointer else base
        is_text = ktype.name == "text" and base.startswith("$")
        return [(f"{place}:string" if is_text else place, value)]
    assert isinstance(value, tuple)
    if isinstance(ktype, Array):
        return [(f"{base}[{n}]", one) for n, one in enumerate(value)]
    step = "->" if is_pointer else "."
    return [
        part
        for n, (member, one) in enumerate(zip(ktype.members, value, strict=True))
        for part in _parts(f"{base}{step}m{n}", member, one, False)
    ]


def _function(rng: random.Random, number: int, choices: Choices) -> Function:
    parameters = []
    for n in range(rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11])):
        by_address = rng.random() < choices.by_address
        ktype = _type(rng, f"s{number}_{n}", choices, by_address)
        value = _value(rng, ktype)
        parameters.append(Parameter(ktype, by_address, rng.random() < 0.4, value))
    result: Type | None = None
    if rng.random() < 0.9:
        is_struct = rng.random() < 0.35
        result = _struct(rng, f"r{number}", choices) if is_struct else _one(rng, choices.scalars)
    returned = 0 if result is None else _value(rng, result)
    return Function(f"f{number}", tuple(parameters), result, returned)


def _type(rng: random.Random, name: str, choices: Choices, by_address: bool) -> Type:
    if rng.random() < 0.35:
        return _struct(rng, name, choices)
    if by_address and choices.arrays and rng.random() < 0.4:
        return Array(_number(rng, choices), rng.randint(1, 4))
    return _one(rng, choices.scalars)


def _struct(rng: random.Random, name: str, choices: Choices) -> Struct:
    members: list[Scalar | Array | Struct] = []
    for n in range(rng.choice([1, 1, 2, 2, 2, 3, 4])):
        form = rng.random()
        if form < 0.1 and name.count("x") < 2:
            members.append(_struct(rng, f"{name}x{n}", _without_classes(choices)))
        elif form < 0.25:
            members.append(Array(_number(rng, choices), rng.randint(1, 3)))
        else:
            members.append(_one(rng, choices.scalars))
    return Struct(name, tuple(members), choices.classes and rng.random() < 0.25)


def _without_classes(choices: Choices) -> Choices:
    """The same without classes, whose values inside others cannot be written down at once."""
    return replace(choices, classes=False)


def _one(rng: random.Random, names: tuple[str, ...]) -> Scalar:
    return Scalar(rng.choice(names))


def _number(rng: random.Random, choices: Choices) -> Scalar:
    return _one(rng, tuple(name for name in choices.scalars if name[1:].isdigit()))


def _value(rng: random.Random, ktype: Type) -> Value:
    if isinstance(ktype, Array):
        return tuple(_value(rng, ktype.element) for _ in range(ktype.count))
    if isinstance(ktype, Struct):
        return tuple(_value(rng, member) for member in ktype.members)
    match ktype.name:
        case "f32" | "f64":
            return rng.randint(-99, 99) / 8
        case "bool":
            return rng.randint(0, 1)
        case "address":
            return rng.getrandbits(47)
        case "text":
            return "".join(rng.choice("abcdefgh ") for _ in range(rng.randint(1, 9)))
    bits = int(ktype.name[1:])
    value = rng.getrandbits(bits)
    return value - (1 << bits) if ktype.name[0] == "s" and value >> bits - 1 else value
