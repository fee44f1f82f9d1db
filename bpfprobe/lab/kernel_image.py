"""A kernel made ready to start: uncompressed, with the modules it needs to reach its disks."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bpfprobe.lab.cache import fingerprint
from bpfprobe.lab.debs import unpack
from bpfprobe.lab.errors import LabUnavailable
from bpfprobe.lab.process import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from bpfprobe.lab.apt import Apt
    from bpfprobe.lab.cache import Cache
    from bpfprobe.lab.progress import Progress
    from bpfprobe.lab.tools import Tools

BOOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "ext4")
ELF = b"\x7fELF"
COMPRESSED = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x02\x21\x4c\x18": "lz4",
    b"\xfd7zXZ\x00": "xz",
    b"\x1f\x8b\x08": "gzip",
}
DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
DAMAGED = "the package may be damaged: run bpfprobe lab --build again"


@dataclass(frozen=True, slots=True)
class KernelImage:
    """Where a kernel's pieces lie in the cache."""

    release: str
    directory: Path

    @property
    def vmlinux(self) -> Path:
        """The uncompressed kernel, which starts twice as fast as the packed one."""
        return self.directory / "vmlinux"

    @property
    def boot_modules(self) -> list[Path]:
        """Modules to load before the root is there, in order."""
        return sorted((self.directory / "boot").iterdir())

    @property
    def extra_modules(self) -> list[Path]:
        """Modules that a guest can load by hand, in order of loading."""
        return sorted((self.directory / "extra").iterdir())


def fetch_kernel(
    cache: Cache, apt: Apt, tools: Tools, release: str, extra: Iterable[str], progress: Progress
) -> KernelImage:
    """Fetch a kernel's packages and take out what a guest needs."""
    image = f"linux-image-{release}"
    parts = apt.dependencies(image, rf"^linux-(binary|modules)-{re.escape(release)}$")
    selection = apt.select([image, *parts], with_dependencies=False)
    key = fingerprint([selection.names, sorted(extra)])
    target = cache.directory("kernels") / f"{release}.{key}"
    if not target.is_dir():
        with (
            progress.step(f"fetching and unpacking kernel {release}"),
            selection.fetched() as debs,
            cache.building(target) as scratch,
        ):
            tree = scratch / "tree"
            unpack(debs, tree)
            selection.note(scratch)
            (scratch / "vmlinux").write_bytes(uncompressed(_find(tree, "vmlinuz*"), tools))
            modules = {_module_name(path): path for path in tree.rglob("*.ko*")}
            taken = _copy_modules(modules, BOOT_MODULES, scratch / "boot", frozenset())
            _copy_modules(modules, extra, scratch / "extra", taken)
            shutil.rmtree(tree)
    return KernelImage(release, target)


def uncompressed(packed: Path, tools: Tools) -> bytes:
    """The ELF kernel inside a bzImage."""
    data = packed.read_bytes()
    for kind, start in _candidates(data):
        content = _decompress(kind, data[start:], tools)
        if content.startswith(ELF):
            return content
    raise LabUnavailable(f"no kernel was found inside {packed.name}", hint=DAMAGED)


def _candidates(data: bytes) -> Iterator[tuple[str, int]]:
    for magic, kind in COMPRESSED.items():
        start = data.find(magic)
        while start >= 0:
            yield kind, start
            start = data.find(magic, start + 1)


def _decompress(kind: str, data: bytes, tools: Tools) -> bytes:
    """What ``data`` starts with, unpacked as far as it goes; other bytes may follow it."""
    try:
        if kind == "xz":
            return lzma.LZMADecompressor().decompress(data)
        if kind == "gzip":
            return zlib.decompressobj(wbits=31).decompress(data)
    except (lzma.LZMAError, zlib.error):
        return b""  # the magic number stood there by chance
    argv = [*tools.command(kind), "-dcq", "-"]
    return subprocess.run(
        argv, input=data, capture_output=True, env=environment(), check=False
    ).stdout


def dependencies(module: bytes) -> list[str]:
    """The names of the modules that a module says it needs."""
    found = DEPENDS.search(module)
    return [name for name in found[1].decode().split(",") if name] if found else []


def _copy_modules(
    modules: dict[str, Path], wanted: Iterable[str], target: Path, have: frozenset[str]
) -> frozenset[str]:
    """Copy modules and what they need, numbered in order of loading; built-in ones have no file."""
    target.mkdir()
    order: dict[str, bytes] = {}

    def visit(name: str) -> None:
        name = name.replace("-", "_")
        if name in order or name in have or name not in modules:
            return
        path = modules[name]
        content = path.read_bytes()
        if path.suffix == ".xz":
            content = lzma.decompress(content)
        for needed in dependencies(content):
            visit(needed)
        order[name] = content

    for name in wanted:
        visit(name)
    for index, (name, content) in enumerate(order.items()):
        (target / f"{index:02}-{name}.ko").write_bytes(content)
    return have | order.keys()


def _module_name(path: Path) -> str:
    return path.name.split(".ko")[0].replace("-", "_")


def _find(tree: Path, pattern: str) -> Path:
    found: Sequence[Path] = sorted(p for p in tree.rglob(pattern) if p.is_file())
    if not found:
        raise LabUnavailable(f"the kernel packages hold no {pattern}", hint=DAMAGED)
    return found[0]
