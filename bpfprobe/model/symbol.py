"""Where an address is, in the words of the code that stands there."""

from __future__ import annotations

from typing import Protocol

from bpfprobe.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """``name`` plus ``offset`` bytes; ``size`` bytes belong to the name (0: not known).

    ``module`` is the kernel's module or the program's file, empty for the kernel itself.
    Of C++ and Rust ``name`` is what the source calls the function, and ``symbol`` what the file
    does; elsewhere ``symbol`` is empty.
    """

    name: str
    offset: int
    size: int = 0
    module: str = ""
    symbol: str = ""


class Symbolizer(Protocol):
    """Finds names for addresses."""

    def kernel(self, address: int) -> Location | None:
        """The kernel function at ``address``; None where there is none, or names are hidden."""
        ...

    def user(self, pid: int, address: int) -> Location | None:
        """The function of process ``pid`` at ``address``.

        ``name`` is empty where only the file is known; None where nothing is mapped there or the
        process has gone.
        """
        ...
