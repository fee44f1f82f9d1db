"""Guests saved just before their first command: built once, restored for every run."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bpfprobe.lab import emulator
from bpfprobe.lab.agent.wire import CHUNK, Decoder, Kind
from bpfprobe.lab.cache import fingerprint, keep_newest, touched
from bpfprobe.lab.console import fault_in
from bpfprobe.lab.errors import GuestFault, GuestLost, GuestTimeout

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.lab.cache import Cache
    from bpfprobe.lab.progress import Progress
    from bpfprobe.lab.tools import Emulator, Tools

BOOT_TIMEOUT_S = 120.0
SAVE_TIMEOUT_S = 120.0
KEPT = 16
IDLE_S = 3600.0
IGNORE_SHARED = [{"capability": "x-ignore-shared", "state": True}]
"""Memory stays in its file, which the saved state then needs no copy of."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a saved guest depends on."""

    release: str
    vmlinux: Path
    initramfs: bytes
    fixed_disks: tuple[Path, ...]
    changing_disks: tuple[int, ...]
    emulator: Emulator

    @property
    def key(self) -> str:
        """Equal for recipes that make the same guest."""
        return fingerprint(
            [
                self.release,
                str(self.vmlinux),
                hashlib.sha256(self.initramfs).hexdigest(),
                [str(disk) for disk in self.fixed_disks],
                self.changing_disks,
                self.emulator.command,
                self.emulator.version,
                [emulator.MEMORY, emulator.CPUS, emulator.COMMAND_LINE, emulator.PORTS],
            ]
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A saved guest."""

    directory: Path
    recipe: Recipe

    def machine(self, changing_disks: tuple[Path, ...]) -> emulator.Machine:
        """The machine to restore it on, with the disks that differ from run to run."""
        return _machine(self.recipe, self.directory, changing_disks)


def saved_guest(cache: Cache, recipe: Recipe, tools: Tools, progress: Progress) -> Snapshot:
    """The guest of a recipe, started and saved when it is not in the cache."""
    parent = cache.directory("saved")
    target = parent / f"{recipe.release}.{recipe.key}"
    if not touched(target):
        with cache.lock(f"saved-{target.name}"):
            if not touched(target):
                with (
                    progress.step(f"starting and saving a guest, kernel {recipe.release}"),
                    cache.building(target) as scratch,
                ):
                    _save(recipe, tools, scratch, cache)
    cache.prune(keep_newest(list(parent.glob("[!.]*")), KEPT, IDLE_S, time.time()))
    return Snapshot(target, recipe)


def restore(snapshot: Snapshot, tools: Tools, changing_disks: tuple[Path, ...]) -> emulator.Process:
    """A private running copy of a saved guest."""
    process = emulator.start(
        snapshot.recipe.emulator,
        tools,
        snapshot.machine(changing_disks),
        shared=False,
        extra=("-incoming", "defer"),
    )
    try:
        process.monitor.execute("migrate-set-capabilities", capabilities=IGNORE_SHARED)
        process.monitor.execute("migrate-incoming", uri=f"file:{snapshot.directory / 'state'}")
        process.monitor.wait(
            "query-status", frozenset({"paused", "postmigrate", "prelaunch"}), SAVE_TIMEOUT_S
        )
        process.monitor.execute("cont")
    except OSError as error:
        complaint = process.complaints()
        process.close()
        raise GuestLost(f"QEMU ended while restoring: {complaint}", console=b"") from error
    except BaseException:
        process.close()
        raise
    return process


def saved_directories(cache: Cache, release: str) -> list[Path]:
    """The saved guests of a kernel."""
    return list(cache.directory("saved").glob(f"{release}.*"))


def blank_disk(cache: Cache, size: int) -> Path:
    """An empty disk of a size, which takes no room."""
    path = cache.directory("blank") / f"{size}.img"
    if not path.exists():
        with cache.lock("blank"), path.open("ab") as file:
            file.truncate(size)
    return path


def _machine(recipe: Recipe, directory: Path, changing: tuple[Path, ...]) -> emulator.Machine:
    root, *environments = recipe.fixed_disks
    return emulator.Machine(
        vmlinux=recipe.vmlinux,
        initramfs=directory / "initramfs",
        memory=directory / "memory",
        disks=(root, *changing, *environments),
    )


def _save(recipe: Recipe, tools: Tools, directory: Path, cache: Cache) -> None:
    (directory / "initramfs").write_bytes(recipe.initramfs)
    blanks = tuple(blank_disk(cache, size) for size in recipe.changing_disks)
    machine = _machine(recipe, directory, blanks)
    process = emulator.start(recipe.emulator, tools, machine, shared=True)
    try:
        ready = _wait_until_ready(process)
        monitor = process.monitor
        monitor.execute("stop")
        monitor.execute("migrate-set-capabilities", capabilities=IGNORE_SHARED)
        monitor.execute("migrate", uri=f"file:{directory / 'state'}")
        monitor.wait("query-migrate", frozenset({"completed"}), SAVE_TIMEOUT_S)
        monitor.execute("quit")
        process.wait(SAVE_TIMEOUT_S)
        (directory / "console").write_bytes(process.console())
        (directory / "ready.json").write_text(json.dumps(ready))
    finally:
        process.close()


def _wait_until_ready(process: emulator.Process) -> object:
    decoder = Decoder()
    process.port.settimeout(BOOT_TIMEOUT_S)
    while True:
        try:
            data = process.port.recv(CHUNK)
        except TimeoutError:
            raise GuestTimeout(
                f"the guest did not start within {BOOT_TIMEOUT_S:.0f} s", console=process.console()
            ) from None
        if not data:
            fault = fault_in(process.console())
            message = f"the guest's kernel failed at its start: {fault}"
            raise (
                GuestFault(message, console=process.console())
                if fault
                else GuestLost(
                    f"the guest ended at its start: {process.complaints()}",
                    console=process.console(),
                )
            )
        for kind, payload in decoder.feed(data):
            if kind is Kind.READY:
                return json.loads(payload)
