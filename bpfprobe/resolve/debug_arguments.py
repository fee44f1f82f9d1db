"""Arguments of a function of a program by name, from its debug information."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bpfprobe.errors import MissingLibraryError, TargetError, spec_error
from bpfprobe.model.noun import replace
from bpfprobe.model.value import Argument, Space
from bpfprobe.resolve.operand import NumberOperand
from bpfprobe.resolve.passing import argument_places
from bpfprobe.resolve.returned import returned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import Prototype
    from bpfprobe.model.machine import Binary, VirtualAddress
    from bpfprobe.model.span import Span
    from bpfprobe.resolve.operand import Operand
    from bpfprobe.target import Target


class DebugArguments:
    """The arguments of one function, looked up when the first is asked for."""

    def __init__(
        self, target: Target, arch: Arch, binary: Binary, entry: VirtualAddress, *, returns: bool
    ) -> None:
        self._target = target
        self._arch = arch
        self._binary = binary
        self._entry = entry
        self._returns = returns

    def find(self, name: str, span: Span) -> Operand | None:
        """The argument of that name; None where no name is known at all.

        Raises `SpecError` for one that is not there, or where no program can read it.
        """
        try:
            if self._prototype is None:
                return None
        except TargetError as error:
            raise spec_error(error.code, error.message, span, error.hint) from error
        found = self._places.get(name)
        if isinstance(found, TargetError):
            raise spec_error(found.code, found.message, span, found.hint)
        if found is None:
            from difflib import get_close_matches  # only mistakes want it

            near = get_close_matches(name, self._places, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it is {self._prototype}"
            raise spec_error(
                "NO_BTFARG", f"{self._prototype.name} has no argument {name}", span, hint
            )
        return found

    def numbered(self, number: int, span: Span) -> Operand | None:
        """Return argument ``number``, as the source counts; None where no type is known.

        Raises `SpecError` for one that is not there, or where no program can read it.
        """
        try:
            prototype = self._prototype
        except (MissingLibraryError, TargetError):
            prototype = None
        if prototype is None:
            if self._binary.is_go:
                from bpfprobe.resolve.go_passing import unknown_by_number

                raise unknown_by_number(number, self._binary.path, span)
            return None
        if number > len(self._in_order):
            return self._past_the_last(prototype, number, span)
        found = self._in_order[number - 1]
        if isinstance(found, TargetError):
            raise spec_error(found.code, found.message, span, found.hint)
        return found

    def _past_the_last(self, prototype: Prototype, number: int, span: Span) -> Operand | None:
        """Return what ``...`` stands for; None where it is register ``number``, of no known type.

        Raises `SpecError` where there is none, or where the registers do not tell which it is.
        """
        count = len(self._in_order)
        if not prototype.variadic:
            some = f"{count} argument{'s' if count != 1 else ''}"
            cause = f"{prototype.name} has {some}, so there is no argument {number}"
            raise spec_error("NO_BTFARG", cause, span, f"it is {prototype}; registers are %di, %si")
        for n, place in enumerate(self._in_order, 1):
            value = place.value if isinstance(place, NumberOperand) else None
            if not isinstance(value, Argument) or value.number != n:
                cause = f"it is not known where argument {number} of {prototype.name} is"
                hint = f"it is {prototype}; registers are there, as %di, and the $stack"
                raise spec_error("BAD_ARG_NUM", cause, span, hint)
        return None

    def has(self, name: str) -> bool:
        """Whether the function is known to have an argument of that name."""
        try:
            prototype = self._prototype
        except (MissingLibraryError, TargetError):  # of no use by name either
            return False
        return prototype is not None and any(p.name == name for p in prototype.parameters)

    def returned(self, span: Span) -> Operand | None:
        """What ``$retval`` is by the function's own type; None where that is not known.

        Raises `SpecError` where no program can read it.
        """
        try:
            prototype = self._prototype
        except (MissingLibraryError, TargetError):
            return None
        if prototype is None:
            return None
        found = returned(prototype, self._arch, self._target.members, Space.USER)
        if isinstance(found, TargetError):
            raise spec_error(found.code, found.message, span, found.hint)
        return found

    def way_to_names(self) -> str:
        """What would make the arguments known by name."""
        package = self._target.binary_package(self._binary)
        more = f" or install {package}-dbgsym" if package else ""
        return f"names are in debug information: build it with -g{more}"

    @cached_property
    def _prototype(self) -> Prototype | None:
        return self._target.binary_prototype(self._binary, self._entry)

    @cached_property
    def _places(self) -> Mapping[str, Operand | TargetError]:
        assert self._prototype is not None
        both = zip(self._prototype.parameters, self._in_order, strict=True)
        return {parameter.name: place for parameter, place in both if parameter.name}

    @cached_property
    def _in_order(self) -> tuple[Operand | TargetError, ...]:
        """Where each is, in the order of the source; what has no name is called by its number."""
        prototype = self._prototype
        assert prototype is not None
        named = tuple(
            one if one.name else replace(one, name=f"$arg{n}")
            for n, one in enumerate(prototype.parameters, 1)
        )
        places = argument_places(
            replace(prototype, parameters=named),
            self._arch,
            self._target.members,
            space=Space.USER,
            returns=self._returns,
        )
        return tuple(place for _, place in places)
