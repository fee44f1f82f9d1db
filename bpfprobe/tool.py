"""What a command-line tool made with bpfprobe needs around its session."""

from __future__ import annotations

import errno
import io
import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bpfprobe.errors import BpfprobeError, PrivilegeError, SpecError, UsageError
from bpfprobe.output import report, report_error
from bpfprobe.resource_error import resource_error

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED, WRONG, NOT_ALLOWED, INTERRUPTED = 1, 2, 77, 130
_OUTPUT_FAILS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def run_tool(
    main: Callable[[], int | None], name: str | None = None, *, interrupted: int = 0
) -> NoReturn:
    """Run ``main`` and exit with what it returns (None is 0).

    Errors of this package become a message on stderr and status 1, 2 for a wrong description or
    command line, 77 for a missing privilege. Ctrl-C is the usual way to end a tracer: status 0, or
    ``interrupted``. A reader that has gone (``| head``) is status 0 as well. Output that cannot be
    written, as on a full disk, is status 1; where a standard stream is closed, it is ``/dev/null``.
    Characters that the locale's encoding does not have are written as ``\\uHHHH``.
    """
    prefix = name or Path(sys.argv[0]).name
    _open_streams()
    status: int
    try:
        status = _written(main)
    except BrokenPipeError:
        _drop_output()
        status = 0
    except OSError as error:
        if error.errno in _OUTPUT_FAILS and error.filename is None:
            _drop_output()
            report(f"{prefix}: the output cannot be written: {error.strerror} [NO_OUTPUT]")
        else:
            report_error(prefix, resource_error(error))
        status = FAILED
    except KeyboardInterrupt:
        status = interrupted
    except BpfprobeError as error:
        report_error(prefix, error)
        status = FAILED
        if isinstance(error, (SpecError, UsageError)):
            status = WRONG
        elif isinstance(error, PrivilegeError):
            status = NOT_ALLOWED
    sys.exit(status)


def _written(main: Callable[[], int | None]) -> int:
    """The status of ``main``, once all that it printed is out."""
    try:
        status: str | int | None = main()
    except SystemExit as end:  # argparse, when it has shown the help
        status = end.code
    if isinstance(status, str):  # what Python itself would print as it stands
        report(status)
        status = FAILED
    sys.stdout.flush()
    return status or 0


def _open_streams() -> None:
    """Open what is closed of the standard streams, or the next file would be taken for it.

    What a program was asked for may have any character: the terminal has to take them all.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Send away what Python would still write at exit: it could not."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def user_id(user: str | None) -> int | None:
    """The number of a user given by name or number. Raises `BpfprobeError` (NO_USER)."""
    if user is None or user.isdecimal():
        return None if user is None else int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise BpfprobeError(f"there is no user {user}", code="NO_USER") from None
