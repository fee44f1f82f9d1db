"""What the system refused outside of any description, as an error of ours."""

from __future__ import annotations

import errno
import functools
import os

from bpfprobe.errors import ResourceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    Given = ParamSpec("Given")
    Result = TypeVar("Result")


def explained(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Have a function raise `ResourceError` where it would raise OSError."""

    @functools.wraps(function)
    def inner(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except OSError as error:
            raise resource_error(error) from error

    return inner


def resource_error(error: OSError) -> ResourceError:
    """Return an error of ours for one of the system's that nothing else has explained."""
    number = error.errno or 0
    reason = error.strerror or str(error)
    if number in (errno.EMFILE, errno.ENFILE):
        whose = "this process" if number == errno.EMFILE else "this machine"
        hint = "ulimit -n 4096 before it" if number == errno.EMFILE else "see sysctl fs.file-max"
        message = f"{whose} has too many files open"
        return ResourceError(message, errno=number, hint=hint, code="TOO_MANY_FILES")
    if number == errno.ENOMEM:
        return ResourceError(f"no memory is left: {reason}", errno=number, code="NO_MEMORY")
    if number == errno.ENOENT and error.filename is None and not _has_folder():
        message, hint = "the current folder has been removed", "cd to one that is there"
        return ResourceError(message, errno=number, hint=hint, code="NO_FOLDER")
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    way = "run as root" if number in (errno.EACCES, errno.EPERM) else None
    return ResourceError(f"{where}{reason}", errno=number, hint=way, code="SYSTEM")


def _has_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  # no path is wanted
    except OSError:
        return False
    return True
