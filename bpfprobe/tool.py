"""What a command-line tool made with bpfprobe needs around its session."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bpfprobe.errors import BpfprobeError, PrivilegeError, SpecError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED, WRONG, NOT_ALLOWED, INTERRUPTED = 1, 2, 77, 130


def run_tool(main: Callable[[], int | None], name: str | None = None) -> NoReturn:
    """Run ``main`` and exit with what it returns (None is 0).

    Errors of this package become a message on stderr and status 1, 2 for a wrong description or
    command line, 77 for a missing privilege. Ctrl-C is the usual way to end a tracer: status 0. So
    is a reader that has gone (``| head``).
    """
    prefix = name or Path(sys.argv[0]).name
    try:
        status = main() or 0
        sys.stdout.flush()
    except BrokenPipeError:
        # Nothing more can be said, and Python must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except KeyboardInterrupt:
        status = 0
    except BpfprobeError as error:
        print(f"{prefix}: {error}", file=sys.stderr)  # noqa: T201 - a tool speaks to a person
        status = FAILED
        if isinstance(error, (SpecError, UsageError)):
            status = WRONG
        elif isinstance(error, PrivilegeError):
            status = NOT_ALLOWED
    sys.exit(status)


def user_id(user: str | None) -> int | None:
    """The number of a user given by name or number. Raises `BpfprobeError` (NO_USER)."""
    if user is None or user.isdecimal():
        return None if user is None else int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise BpfprobeError(f"there is no user {user}", code="NO_USER") from None
