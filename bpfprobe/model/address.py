"""Addresses in the kernel that know their symbol."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfprobe.model.machine import SymbolRange


class KernelAddress(int):
    """An address in the kernel, what ``:symbol`` takes: a number, and the symbol it is inside of.

    The symbol is looked up when it is first asked for, in what the kernel's symbols are then.
    ``str()`` is what the kernel prints for ``%pS``: ``vfs_read+0x0/0x310``, with the module behind
    it in brackets, or the number where the address is inside of nothing.
    """

    _look_up: Callable[[int], SymbolRange | None] | None = None

    @property
    def symbol(self) -> SymbolRange | None:
        """The symbol, None where there is none or the kernel hides it."""
        look_up = type(self)._look_up
        return look_up(int(self)) if look_up is not None else None

    @property
    def name(self) -> str:
        """The symbol's name, empty where there is none."""
        return found.name if (found := self.symbol) else ""

    @property
    def offset(self) -> int:
        """Bytes from the start of the symbol; the address itself where there is none."""
        return int(self) - found.start if (found := self.symbol) else int(self)

    def __str__(self) -> str:
        found = self.symbol
        if found is None:
            return f"{int(self):#x}"
        module = f" [{found.module}]" if found.module else ""
        return f"{found.name}+{int(self) - found.start:#x}/{found.size:#x}{module}"


def address_type(look_up: Callable[[int], SymbolRange | None] | None) -> type[KernelAddress]:
    """Addresses that look their symbol up this way."""
    if look_up is None:
        return KernelAddress
    return type("KernelAddress", (KernelAddress,), {"_look_up": staticmethod(look_up)})
