"""Arguments of a function of a program by name, from its debug information."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bpfprobe.errors import MissingLibraryError, TargetError, spec_error
from bpfprobe.model.value import Space
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
        return {
            parameter.name: place
            for parameter, place in argument_places(
                self._prototype,
                self._arch,
                self._target.members,
                space=Space.USER,
                returns=self._returns,
            )
            if parameter.name
        }
