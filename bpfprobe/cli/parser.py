"""A parser of command lines whose messages are safe for a terminal."""

from __future__ import annotations

import argparse
import sys
from typing import IO, TYPE_CHECKING, NoReturn

from bpfprobe.model.printable import printable
from bpfprobe.output import write_lines

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

WRONG = 2


class Parser(argparse.ArgumentParser):
    """That of argparse, which prints words of the command line as they are."""

    def error(self, message: str) -> NoReturn:
        """Say on one line what is wrong, and exit."""
        self.print_usage(sys.stderr)
        self.exit(WRONG, f"{self.prog}: error: {printable(message)}\n")

    def _print_message(
        self, message: str, file: IO[str] | SupportsWrite[str] | None = None
    ) -> None:
        if message:
            write_lines(message.removesuffix("\n").split("\n"), file or sys.stderr)
