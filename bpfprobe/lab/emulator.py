"""Starting QEMU: one place for every option that a saved guest depends on."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from bpfprobe.lab.errors import GuestLost, LabUnavailable
from bpfprobe.lab.process import environment, find_program
from bpfprobe.lab.qmp import Monitor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bpfprobe.lab.tools import Emulator, Tools

MEMORY = "1G"
CPUS = 2
# Warnings are shown on the console too: a WARN_ON is a fault of the kernel that a test provoked.
COMMAND_LINE = "console=ttyS0 loglevel=5 panic=-1 oops=panic nokaslr random.trust_cpu=on"
PORTS = ("agent", "compiler")
"""The guest's serial ports in their order: /dev/vport0p1, /dev/vport0p2."""
MONITOR_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What a guest is made of; the disks in the order of /dev/vda, /dev/vdb ..."""

    vmlinux: Path
    initramfs: Path
    memory: Path
    disks: tuple[Path, ...]


class Process:
    """A running QEMU with its monitor, its ports, and its console.

    ``port`` leads to the agent; at ``compiler_port`` the guest asks for C to be compiled.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        monitor: Monitor,
        port: socket.socket,
        compiler_port: socket.socket,
        log: IO[bytes],
        console: IO[bytes],
    ) -> None:
        self._process = process
        self._log = log
        self._console = console
        self.monitor = monitor
        self.port = port
        self.compiler_port = compiler_port

    def console(self) -> bytes:
        """What the guest's kernel has printed since it was started or restored."""
        return os.pread(self._console.fileno(), 1 << 24, 0)

    def complaints(self) -> str:
        """What QEMU itself printed."""
        return os.pread(self._log.fileno(), 1 << 16, 0).decode("utf-8", "replace").strip()

    def wait(self, timeout_s: float) -> bool:
        """Whether QEMU ends by itself within a time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End QEMU at once; nothing of a guest is worth saving. Its console stays readable."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End QEMU, and let go of all that belongs to it."""
        self.kill()
        self.monitor.close()
        self.port.close()
        self.compiler_port.close()
        self._console.close()
        self._log.close()


def start(
    emulator: Emulator, tools: Tools, machine: Machine, *, shared: bool, extra: Sequence[str] = ()
) -> Process:
    """Start QEMU; ``shared`` memory is written back to its file, private memory is not."""
    port, port_far = socket.socketpair()
    compiler, compiler_far = socket.socketpair()
    monitor, monitor_far = socket.socketpair()
    console, log = _scratch_file(), _scratch_file()
    far_ends = (port_far, compiler_far, monitor_far)
    descriptors = (*(end.fileno() for end in far_ends), console.fileno())
    argv = [
        *_ended_with_parent(),
        *emulator.command,
        *_options(emulator, tools, machine, descriptors, shared=shared),
        *extra,
    ]
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=descriptors,
            start_new_session=True,
            env=environment(QEMU_MODULE_DIR=str(tools.path("usr/lib/x86_64-linux-gnu/qemu"))),
        )
    except OSError as error:
        raise LabUnavailable(
            f"QEMU cannot be started: {error.strerror}", hint="run bpfprobe lab --build again"
        ) from error
    for end in far_ends:
        end.close()
    try:
        connected = Monitor(monitor, MONITOR_TIMEOUT_S)
    except OSError as error:
        process.kill()
        process.wait()
        complaint = os.pread(log.fileno(), 1 << 16, 0).decode("utf-8", "replace").strip()
        raise GuestLost(f"QEMU ended at its start: {complaint or error}", console=b"") from error
    return Process(process, connected, port, compiler, log, console)


def _options(
    emulator: Emulator,
    tools: Tools,
    machine: Machine,
    descriptors: tuple[int, ...],
    *,
    shared: bool,
) -> list[str]:
    port, compiler, monitor, console = descriptors
    memory = f"memory-backend-file,id=ram,size={MEMORY},mem-path={_escaped(machine.memory)}"
    options = [
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-L", str(tools.path("usr/share/qemu")), "-L", str(tools.path("usr/share/seabios")),
        "-machine", "q35,memory-backend=ram", "-m", MEMORY, "-smp", str(CPUS), "-cpu", "max",
        "-accel", f"tcg,thread={'multi' if emulator.threads else 'single'}",
        "-object", f"{memory},share={'on' if shared else 'off'}",
        "-kernel", str(machine.vmlinux), "-initrd", str(machine.initramfs),
        "-append", COMMAND_LINE,
        "-chardev", f"file,id=console,path=/dev/fd/{console},append=on",
        "-serial", "chardev:console",
        "-chardev", f"socket,id=port,fd={port}",
        "-chardev", f"socket,id=compiler,fd={compiler}",
        "-device", "virtio-serial-pci,max_ports=3", "-device", "virtserialport,chardev=port,nr=1",
        "-device", "virtserialport,chardev=compiler,nr=2",
        "-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control",
    ]  # fmt: skip
    for index, disk in enumerate(machine.disks):
        drive = f"file={_escaped(disk)},if=none,id=disk{index},format=raw,snapshot=on,cache=unsafe"
        options += ["-drive", drive, "-device", f"virtio-blk-pci,drive=disk{index}"]
    return options


def _scratch_file() -> IO[bytes]:
    """A file with no name, which lasts as long as the process that writes to it."""
    return os.fdopen(os.memfd_create("bpfprobe-lab"), "r+b", buffering=0)


def _escaped(path: Path) -> str:
    """A path as a value in one of QEMU's comma-separated options."""
    return str(path).replace(",", ",,")


def _ended_with_parent() -> list[str]:
    """Make the kernel end QEMU should this process die without a chance to do it."""
    setpriv = find_program("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
