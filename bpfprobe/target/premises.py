"""What an object was made from on this machine, and whether it is still so."""

from __future__ import annotations

import os

from bpfprobe.model.premise import Premise, PremiseKind
from bpfprobe.target.identity import (
    file_identity,
    module_identity,
    module_names,
    switch_state,
    tracepoint_format,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from bpfprobe.model.machine import DebugSymbols, Symbol
    from bpfprobe.target import Target
    from bpfprobe.target.locator import Locator

_STOOD_FOR = frozenset(
    {
        "facts", "is_blacklisted", "is_traceable", "members",  # the same for a boot and its modules
        "symbols", "symbol_at", "matching_functions", "prototype", "struct", "tracepoint",
        "binary", "binary_symbols", "matching_binary_symbols", "binary_variable", "markers",
        "source_name", "binary_prototype", "source_lines", "function_at", "instruction_at",
        "process_maps_binary",  # asked again of each process
    }
)  # fmt: skip

_CLOCK_STEP_NS = 20_000_000
"""Times of files come from a clock that goes in steps of a tick: 10 ms at most."""


class Witness:
    """Asks a target, and remembers what the answers depend on.

    ``is_whole`` turns False where a question is not one of those that premises stand for, or was
    answered with an error.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.is_whole = True
        self.modules: set[str] = set()
        self.tracepoints: set[str] = set()
        self.names_symbols = False
        self.debug_files: set[str] = set()
        self.files: dict[tuple[str, int | None], str] = {}

    def __getattr__(self, question: str) -> Callable[..., Any]:
        ask = getattr(self._target, question)

        def asked(*arguments: Any) -> Any:
            whole, self.is_whole = self.is_whole, False
            answer = ask(*arguments)
            self.is_whole = whole and self._note(question, arguments, answer)
            return answer

        return asked

    def _note(self, question: str, arguments: tuple[Any, ...], answer: Any) -> bool:
        """Whether premises can stand for the answer."""
        if question in ("symbols", "symbol_at", "matching_functions"):
            symbols: tuple[Symbol, ...] = answer if question == "symbols" else ()
            self.names_symbols = True
            self.modules.update(symbol.module for symbol in symbols if symbol.module)
        elif question in ("prototype", "struct"):
            self.modules.update(arguments[1:])
            self.modules.discard("")
        elif question == "tracepoint":
            if answer is not None:
                self.tracepoints.add(f"{answer.category}:{answer.name}")
        elif question in ("matching_binary_symbols", "function_at"):
            self._note_debug_file(self._target.debug_symbols(arguments[0]))
        elif question == "binary":
            name, *rest = arguments
            self.files[name, rest[0] if rest else None] = answer.path
        return question in _STOOD_FOR

    def _note_debug_file(self, symbols: DebugSymbols) -> None:
        """A glob means more in a stripped file once its debug file comes."""
        if symbols.is_stripped and (path := symbols.path or symbols.wanted):
            self.debug_files.add(path)

    def premises(self) -> Iterator[Premise]:
        """One for each module and tracepoint, and one for the names that modules bring along."""
        for name in sorted(self.modules):
            yield Premise(PremiseKind.MODULE, name, module_identity(name))
        for name in sorted(self.tracepoints):
            yield Premise(PremiseKind.TRACEPOINT, name, tracepoint_format(name).decode("latin-1"))
        for path in sorted(self.debug_files):
            identity = file_identity(path)
            yield Premise(PremiseKind.FILE if identity else PremiseKind.NO_FILE, path, identity)
        if self.names_symbols:
            yield Premise(PremiseKind.MODULES, "", module_names().decode("latin-1"))


def file_premises(
    name: str, path: str, pid: int | None, probe: int, locator: Locator
) -> Iterator[Premise]:
    """That ``name`` still means the file that was found at ``path``, and that it is unchanged."""
    if pid is not None:
        yield Premise(PremiseKind.PROCESS_FILE, name, file_identity(path), probe)
        return
    yield Premise(PremiseKind.FILE, path, file_identity(path))
    if name.startswith("/"):
        return
    if "/" in name:
        yield Premise(PremiseKind.FOLDER, "", os.getcwd())  # noqa: PTH109  # see identity
        return
    from bpfprobe.target.locator import LIBRARY_CACHE

    yield Premise(PremiseKind.VARIABLE, "PATH", os.environ.get("PATH", ""))
    for earlier in locator.before(name, path):
        yield Premise(PremiseKind.NO_FILE, earlier, "")
    cache = file_identity(LIBRARY_CACHE)
    kind = PremiseKind.FILE if cache else PremiseKind.NO_FILE
    yield Premise(kind, LIBRARY_CACHE, cache)


def is_settled(premise: Premise, since_ns: int) -> bool:
    """Whether a premise is one to build on: known, and no file that changed since a moment.

    ``since_ns`` is on the clock of time.time_ns(). What changed within the same tick of the clock
    may have been read before or after.
    """
    if premise.kind in (PremiseKind.FILE, PremiseKind.PROCESS_FILE):
        times = [int(word) for word in premise.value.split()[3:]]
        return bool(times) and max(times) < since_ns - _CLOCK_STEP_NS
    needs_value = premise.kind in (PremiseKind.MODULE, PremiseKind.TRACEPOINT)
    return bool(premise.value) or not needs_value


def holds(premise: Premise) -> bool:
    """Whether it is still as it was. PROCESS_FILE is for `file_in_process`."""
    kind, name, value = premise.kind, premise.name, premise.value
    if kind is PremiseKind.FILE:
        return file_identity(name) == value
    if kind is PremiseKind.NO_FILE:
        return not file_identity(name)
    if kind is PremiseKind.FOLDER:
        return os.getcwd() == value  # noqa: PTH109  # see identity
    if kind is PremiseKind.VARIABLE:
        return os.environ.get(name, "") == value
    if kind is PremiseKind.MODULE:
        return module_identity(name) == value
    if kind is PremiseKind.SWITCH:
        return switch_state(name) == value
    if kind is PremiseKind.TRACEPOINT:
        return tracepoint_format(name).decode("latin-1") == value
    return kind is PremiseKind.MODULES and module_names().decode("latin-1") == value


def file_in_process(premise: Premise, pid: int) -> str | None:
    """Where the file of a PROCESS_FILE is for a process that runs it; None where it is another."""
    from pathlib import Path

    from bpfprobe.errors import TargetError
    from bpfprobe.target.files import Files
    from bpfprobe.target.locator import Locator

    locator = Locator(Files(Path("/")), os.uname().machine)
    try:
        path = str(locator.locate(premise.name, pid))
        same = file_identity(path) == premise.value and locator.is_mapped(pid, path)
    except TargetError:
        return None
    return path if same else None
