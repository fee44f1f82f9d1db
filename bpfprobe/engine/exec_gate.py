"""A wait for a byte with an exec right after it: three system calls, and no call of a library."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

from bpfprobe.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CODE = {
    "x86_64": "4989d1 4989ca ba01000000 b801000000 0f05 4883f801 751a 31c0 0f05 4883f801 7510"
    "4c89cf 4c89d6 4c89c2 b83b000000 0f05 c3",
    "aarch64": "e90300aa ea0302aa eb0303aa ec0304aa 220080d2 080880d2 010000d4 1f0400f1 61010054"
    "e00309aa e80780d2 010000d4 1f0400f1 c1000054 e0030aaa e1030baa e2030caa a81b80d2 010000d4"
    "c0035fd6",
}
"""By architecture the code of a function of (fd, byte, path, argv, envp), as clang assembles it::

    if (write(fd, byte, 1) == 1 && read(fd, byte, 1) == 1)
            return execve(path, argv, envp);

It is these three system calls and nothing besides. Between the byte that lets it go and its exec,
Python would call malloc and much else, which a probe would take for calls of the command.
"""


def exec_gate() -> mmap.mmap:
    """Return memory with the code in it. Raises `SessionError` (NO_CODE) where none may be made."""
    try:
        code = bytes.fromhex(_CODE[os.uname().machine])
        memory = mmap.mmap(
            -1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        )
    except (KeyError, OSError) as error:
        raise SessionError(
            f"a command cannot be held before its exec, as no code may be made here: {error}",
            hint="start the command yourself, and trace it with -p",
            code="NO_CODE",
        ) from error
    memory.write(code)
    return memory


def wait_and_exec(code: mmap.mmap, fd: int, path: str, argv: Sequence[str]) -> int:
    """Send a byte, wait for one, and become a program.

    Returns only where that fails: minus the errno, or 0 where the other end was closed.
    """
    words = [os.fsencode(word) for word in argv]
    variables = [name + b"=" + value for name, value in os.environb.items()]
    strings, pointer = ctypes.c_char_p, ctypes.c_void_p
    kind = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_int, pointer, strings, pointer, pointer)
    function = kind(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    result: int = function(
        fd,
        ctypes.create_string_buffer(1),
        os.fsencode(path),
        (strings * (len(words) + 1))(*words),
        (strings * (len(variables) + 1))(*variables),
    )
    return result
