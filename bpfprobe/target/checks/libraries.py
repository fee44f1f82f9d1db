"""libbcc, libbpf, and the Python package that goes by the name of bcc, or is another's.

Nothing is loaded: LLVM, which libbcc links, takes a second and 100 MB. Versions stand in the real
names of the files (``libbcc.so.0 -> libbcc.so.0.26.0``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.noun import dataclass
from bpfprobe.target.checks.check import Check
from bpfprobe.target.files import read_regular
from bpfprobe.target.lookup import library_directories, read_library_cache

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bpfprobe.target.files import Files

_MOST_BYTES = 1 << 20
"""Of a file of a Python package, in a folder that may be anybody's."""


@dataclass(frozen=True, slots=True)
class Library:
    """A file of a library; ``version`` is empty where its name has none beyond the soname."""

    path: str
    version: str


@dataclass(frozen=True, slots=True)
class Binding:
    """A Python package named ``bcc``; ``is_bpf`` is false for the one that knows lattices."""

    path: str
    version: str
    is_bpf: bool


def find_libraries(files: Files, soname: str, machine: str) -> list[Library]:
    """The files that a soname means to the loader or stands for beside it, each once."""
    cache = files.read("/etc/ld.so.cache").data or b""
    paths = [path for key, path in read_library_cache(cache, machine) if key == soname]
    paths += [f"{directory}/{soname}" for directory in library_directories()]
    found: dict[str, Library] = {}
    for path in paths:
        real = files.real(path)
        if real.exists():
            name = real.resolve().name
            version = re.search(r"\.so\.(.+)$", name)
            key = str(real.resolve())
            known = version[1] if version and name != soname else ""
            found.setdefault(key, Library(path if name == soname else f"{path} -> {name}", known))
    return list(found.values())


def library(soname: str, found: list[Library], purpose: str, package: str) -> Check:
    """Whether a library is there, once."""
    if not found:
        return Check(soname, False, f"not found: {purpose}", f"apt install {package}")
    shown = "; ".join(one.path for one in found)
    if len({one.version for one in found}) > 1:
        return Check(
            soname,
            None,
            f"installed more than once: {shown}",
            "keep that of the distribution: which of them is loaded depends on the environment",
        )
    return Check(soname, True, shown)


def find_bindings(search: Iterable[Path]) -> list[Binding]:
    """Packages named ``bcc`` in directories of Python's search path, the one imported first."""
    found: dict[Path, Binding] = {}
    for directory in search:
        package = directory / "bcc"
        init = _text(package / "__init__.py")
        if init is None:
            continue
        said = _text(package / "version.py") or ""
        version = re.search(r"""__version__\s*=\s*['"]([^'"]+)""", said + "\n" + init)
        is_bpf = re.search(r"^class BPF\b", init, re.MULTILINE) is not None
        binding = Binding(str(package), version[1] if version else "", is_bpf)
        found.setdefault(package.resolve(), binding)
    return list(found.values())


def python_binding(bindings: list[Binding], libbcc: list[Library]) -> Check:
    """What ``import bcc`` would give. bpfprobe does without: it calls libbcc itself."""
    name = "Python's bcc"
    if not bindings:
        return Check(name, True, "none, and none is needed: bpfprobe calls libbcc itself")
    first, *others = bindings
    shown = f"{first.path} {first.version}".strip()
    if not first.is_bpf:
        return Check(
            name,
            False,
            f"{shown} is another project (BCC lattices), which has no BPF",
            "pip uninstall bcc; BCC's own binding is Debian's python3-bpfcc, on no package index",
        )
    versions = {library.version for library in libbcc if library.version}
    if versions and first.version and not any(_same(first.version, v) for v in versions):
        return Check(
            name,
            False,
            f"{shown}, but libbcc is {' and '.join(sorted(versions))}",
            "`import bcc` will miss symbols: keep one BCC. bpfprobe itself does not use it",
        )
    if others:
        shown += f" (and {', '.join(other.path for other in others)})"
    return Check(name, True, shown)


def _same(binding: str, file: str) -> bool:
    """``0.26.0`` and ``0.0.26.0`` alike: the soname's number may stand before the version."""
    return file == binding or file.endswith(f".{binding}") or file == f"0.{binding}"


def _text(path: Path) -> str | None:
    try:
        return read_regular(str(path), _MOST_BYTES).decode(errors="replace")
    except TargetError:  # no such package here
        return None
