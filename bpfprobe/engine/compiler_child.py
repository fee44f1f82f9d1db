"""The process in which LLVM runs: C text on stdin, bytecode on stdout.

Started by file path and with few imports, so that it costs little, and before there is anything to
compile, so that LLVM is loaded meanwhile; `compiler_process` is the other side. Its argument is the
folder of templates, in which BCC finds the one header that it includes by itself.
A message is a list of byte strings, each after its length (u32, little endian).

- request: the C text, the compiler flags (separated by NUL), then the functions to give back; all
  of it after its length (another u32), as others may hold the pipe open
- answer: ``ok`` and the bytecode of each function, or a word for what went wrong and its details

What BCC prints goes to stderr: its complaints, and the listing of each function with its lines.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

LIBRARY = "libbcc.so.0"
OK, NO_LIBRARY, WRONG_LIBRARY, REFUSED, NO_FUNCTION = b"ok", b"absent", b"wrong", b"no", b"missing"

_LENGTH = struct.Struct("<I")
_DEBUG_SOURCE = 8  # <bcc/bpf_module.h>: print each instruction, and the line of C it came from

# <bcc/bcc_common.h> and <bcc/bpf_module.h>: result, then arguments; `void *` is the module.
_PROTOTYPES = {
    "bpf_module_create_c_from_string": (
        ctypes.c_void_p,
        ctypes.c_char_p,  # text
        ctypes.c_uint,  # flags
        ctypes.POINTER(ctypes.c_char_p),  # cflags
        ctypes.c_int,  # ncflags
        ctypes.c_bool,  # allow_rlimit
        ctypes.c_char_p,  # dev_name
    ),
    "bpf_function_start": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p),
    "bpf_function_size": (ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p),
}


# Landlock, Linux 5.13: numbers of <asm-generic/unistd.h>, <linux/landlock.h>, <linux/prctl.h>.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ_FILE, _PATH_BENEATH, _NO_NEW_PRIVILEGES = 1 << 2, 1, 38


def pack(parts: list[bytes]) -> bytes:
    """A message of ``parts``."""
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def sized(message: bytes) -> bytes:
    """A message as it is sent to this process."""
    return _LENGTH.pack(len(message)) + message


def unpack(message: bytes) -> list[bytes]:
    """The parts of a message. Raises ValueError if it was cut."""
    parts, at = [], 0
    while at < len(message):
        if at + _LENGTH.size > len(message):
            raise ValueError("a length was cut")
        (size,) = _LENGTH.unpack_from(message, at)
        at += _LENGTH.size + size
        if at > len(message):
            raise ValueError("a part was cut")
        parts.append(message[at - size : at])
    return parts


def read_only_beneath(folder: str) -> bool:
    """Let this process read no file outside of a folder from now on; False without Landlock.

    BCC reads all of /proc/kallsyms, to see by what names this kernel has the functions that read
    memory: four times as long as it takes to compile. Our header has names for them that it leaves
    alone.
    """
    libc = ctypes.CDLL(None)
    ruleset = libc.syscall(_CREATE_RULESET, struct.pack("<Q", _READ_FILE), ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    beneath = struct.pack("<Qi", _READ_FILE, os.open(folder, os.O_PATH | os.O_DIRECTORY))
    return not (
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, beneath, 0)
        or libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        or libc.syscall(_RESTRICT_SELF, ruleset, 0)
    )


def load() -> ctypes.CDLL | list[bytes]:
    """The library, or the answer to whatever is asked where it is not what it should be."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        return [NO_LIBRARY, str(error).encode()]
    for symbol, (result, *arguments) in _PROTOTYPES.items():
        try:
            function = getattr(library, symbol)
        except AttributeError:
            return [WRONG_LIBRARY, symbol.encode()]
        function.restype, function.argtypes = result, arguments
    return library


def answer(
    library: ctypes.CDLL, text: bytes, flags: list[bytes], names: list[bytes]
) -> list[bytes]:
    """Compile ``text`` and give the answer to send."""
    array = (ctypes.c_char_p * len(flags))(*flags)
    # Not allow_rlimit: compiling creates no map, so nothing has to be locked in memory.
    module = library.bpf_module_create_c_from_string(
        text, _DEBUG_SOURCE, array, len(flags), False, None
    )
    if not module:
        return [REFUSED]
    codes = [OK]
    for name in names:
        start = library.bpf_function_start(module, name)
        if not start:
            return [NO_FUNCTION, name]
        codes.append(ctypes.string_at(start, library.bpf_function_size(module, name)))
    return codes


def asked() -> bytes:
    """The request; empty where whoever started this process has gone or needs it no more."""
    size = sys.stdin.buffer.read(_LENGTH.size)
    return sys.stdin.buffer.read(*_LENGTH.unpack(size)) if len(size) == _LENGTH.size else b""


def main() -> None:
    """Answer one request; what takes long is done before it comes."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # not ours: the program had them open to children
    # What a C library prints on stdout goes to stderr: the answer has the pipe to itself.
    pipe = os.dup(1)
    os.dup2(2, 1)
    os.chdir(sys.argv[1])
    library = load()
    read_only_beneath(".")  # without, it only takes longer
    request = asked()
    if request:
        text, flags, *names = unpack(request)
        if isinstance(library, list):
            message = pack(library)
        else:
            message = pack(answer(library, text, flags.split(b"\0"), names))
        while message:
            message = message[os.write(pipe, message) :]
    # Past LLVM's destructors, which take time and can only fail.
    os._exit(0)


if __name__ == "__main__":
    main()
