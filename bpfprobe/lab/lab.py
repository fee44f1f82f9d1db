"""The lab: a kernel of the matrix, ready to restore guests of."""

from __future__ import annotations

import os
import string
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import bpfprobe
from bpfprobe.lab.cache import Cache, bytes_used
from bpfprobe.lab.environment import current_environment, environment_images
from bpfprobe.lab.guest import Guest, Mount, Setting
from bpfprobe.lab.headers import IMAGE_SIZE as HEADERS_SIZE
from bpfprobe.lab.initramfs import build_initramfs, guest_path
from bpfprobe.lab.installation import Installation
from bpfprobe.lab.kernels import Matrix, WantedKernel, load_matrix
from bpfprobe.lab.progress import Progress
from bpfprobe.lab.snapshot import (
    Recipe,
    Snapshot,
    blank_disk,
    restore,
    saved_directories,
    saved_guest,
)
from bpfprobe.lab.travel import IMAGE_SIZE as CHECKOUT_SIZE
from bpfprobe.lab.travel import checkout_image, checkout_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfprobe.lab.environment import Environment, EnvironmentImage

IN_GUEST = "BPFPROBE_IN_GUEST"
GUEST_KERNEL = "BPFPROBE_GUEST_KERNEL"
OWN_VARIABLES = "BPFPROBE_"
KEPT_ON_HOST = frozenset({"BPFPROBE_CACHE", "BPFPROBE_MIRROR"})
PASSED_ON = ("TERM", "NO_COLOR", "COLUMNS", "LINES", "TZ")
CHECKOUT_DEVICE = "/dev/vdb"
HEADERS_DEVICE = "/dev/vdc"
COMPILER_DEVICE = "/dev/vport0p2"
COMPILER_PLACE = "BPFPROBE_COMPILER"  # which bpfprobe.engine.compiler_identity looks at
FIRST_ENVIRONMENT_DEVICE = 3


@dataclass(frozen=True)
class Lab:
    """Guests with one kernel.

    ::

        with Lab(kernel="6.1").restore() as guest:
            result = guest.run(["uname", "-r"])

    ``kernel`` is a series of the matrix, ``newest``, or a version that a row is today, such as
    ``7.3``; None is the default. The checkout that this
    package belongs to and the environment of this process are in the guest at their own paths.
    """

    kernel: str | None = None
    headers: bool = False
    progress: Progress = field(default_factory=Progress.to_stderr)
    cache: Cache = field(default_factory=Cache.default)
    matrix: Matrix = field(default_factory=load_matrix)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Nothing is held between guests; the block reads well."""

    @cached_property
    def wanted(self) -> WantedKernel:
        """The row of the matrix."""
        return self.installation.find(self.kernel)

    @property
    def installation(self) -> Installation:
        """What the lab keeps in its cache."""
        return Installation(self.cache, self.matrix, self.progress)

    def build(self) -> Snapshot:
        """Fetch, build and save whatever is missing; a warm lab returns at once."""
        return self._saved(self._images())

    def restore(self) -> Guest:
        """A running guest of its own, as it was when it was saved, with the checkout of now."""
        images = self._images()
        snapshot = self._saved(images)
        tools = self.installation.tools()
        checkout = checkout_of(Path(bpfprobe.__file__).parent)
        if checkout is None:
            checkout_disk = blank_disk(self.cache, CHECKOUT_SIZE)
        else:
            checkout_disk = checkout_image(self.cache, tools, checkout)
        if self.headers:
            headers_disk = self.installation.headers(snapshot.recipe.release)
        else:
            headers_disk = blank_disk(self.cache, HEADERS_SIZE)
        process = restore(snapshot, tools, (checkout_disk, headers_disk))
        setting = Setting(
            cwd=working_directory(Path.cwd(), checkout),
            env=guest_environ(os.environ, current_environment(), self.wanted.name),
            mounts=tuple(mounts(checkout, images)),
            headers_device=HEADERS_DEVICE if self.headers else None,
        )
        from bpfprobe.lab.compiler_service import serve_compiler  # needs ctypes, --help does not

        serve_compiler(process.compiler_port)
        return Guest(process, setting, snapshot.recipe.release)

    def overview(self) -> list[Row]:
        """Each kernel of the matrix, and what of it is in the cache."""
        rows = []
        for wanted in self.matrix.kernels:
            kernel = self.installation.known_kernel(wanted)
            saved = saved_directories(self.cache, kernel.release) if kernel else []
            used = [*saved, *([kernel.directory] if kernel else [])]
            release = kernel.release if kernel else None
            size = sum(bytes_used(directory) for directory in used)
            rows.append(Row(wanted, release, bool(saved), size))
        return rows

    def _images(self) -> list[EnvironmentImage]:
        tools = self.installation.tools()
        return environment_images(self.cache, tools, current_environment(), self.progress)

    def _saved(self, images: list[EnvironmentImage]) -> Snapshot:
        installation = self.installation
        tools = installation.tools()
        kernel = installation.kernel(self.wanted)
        initramfs = build_initramfs(
            kernel,
            tools.path("usr/bin/busybox").read_bytes(),
            current_environment().interpreter,
            [(device, str(image.root)) for device, image in environment_devices(images)],
        )
        recipe = Recipe(
            release=kernel.release,
            vmlinux=kernel.vmlinux,
            initramfs=initramfs,
            fixed_disks=(installation.root().image, *(image.image for image in images)),
            changing_disks=(CHECKOUT_SIZE, HEADERS_SIZE),
            emulator=installation.emulator(),
        )
        return saved_guest(self.cache, recipe, tools, self.progress)


@dataclass(frozen=True, slots=True)
class Row:
    """A kernel of the matrix as a list shows it."""

    wanted: WantedKernel
    release: str | None
    built: bool
    size: int


def environment_devices(images: list[EnvironmentImage]) -> list[tuple[str, EnvironmentImage]]:
    """The device that each environment image is in the guest."""
    letters = string.ascii_lowercase[FIRST_ENVIRONMENT_DEVICE:]
    return [(f"/dev/vd{letter}", image) for letter, image in zip(letters, images, strict=False)]


def mounts(checkout: Path | None, images: list[EnvironmentImage]) -> list[Mount]:
    """What to mount when a guest is restored: the checkout, and environments that lie inside it."""
    if checkout is None:
        return []
    inside = [
        (d, i.root) for d, i in environment_devices(images) if i.root.is_relative_to(checkout)
    ]
    return [
        Mount(CHECKOUT_DEVICE, str(checkout), read_only=False),
        *(Mount(device, str(root), read_only=True) for device, root in inside),
    ]


def working_directory(cwd: Path, checkout: Path | None) -> str:
    """Where a command starts: where the caller is, if that travels, else at the checkout."""
    if checkout is None:
        return "/root"
    return str(cwd if cwd.is_relative_to(checkout) else checkout)


def guest_environ(
    environ: Mapping[str, str], environment: Environment, kernel: str
) -> dict[str, str]:
    """The environment variables of a command in the guest."""
    passed = {
        name: value
        for name, value in environ.items()
        if name in PASSED_ON or (name.startswith(OWN_VARIABLES) and name not in KEPT_ON_HOST)
    }
    return {
        "PATH": guest_path(environment.interpreter),
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "USER": "root",
        "SHELL": "/bin/bash",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **passed,
        IN_GUEST: "1",
        COMPILER_PLACE: COMPILER_DEVICE,
        GUEST_KERNEL: kernel,
    }
