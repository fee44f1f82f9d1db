"""Making the restored guest current: its clock, its randomness, and the disks that came with it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import struct
import time
from pathlib import Path
from typing import Any

MS_RDONLY = 1
MS_NOATIME = 1024
RNDADDENTROPY = 0x40085203
RNDRESEEDCRNG = 0x5207


def refresh(clock_ns: int, seed: bytes) -> None:
    """Set the wall clock, and let nothing random repeat from one copy of the guest to the next."""
    time.clock_settime_ns(time.CLOCK_REALTIME, clock_ns)
    with open("/dev/urandom", "wb", buffering=0) as device:
        device.write(seed)
        fcntl.ioctl(device, RNDADDENTROPY, struct.pack("ii", len(seed) * 8, len(seed)) + seed)
        fcntl.ioctl(device, RNDRESEEDCRNG)
    random.seed(seed)


def mount(device: str, path: str, *, read_only: bool) -> None:
    """Mount an ext4 image."""
    Path(path).mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    flags = MS_NOATIME | (MS_RDONLY if read_only else 0)
    if libc.mount(device.encode(), path.encode(), b"ext4", flags, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mounting {device}: {os.strerror(number)}", path)


def prepare(request: dict[str, Any]) -> None:
    """Carry out the part of a request that comes before its command."""
    refresh(request["clock_ns"], bytes.fromhex(request["seed"]))
    for device, path, read_only in request["mounts"]:
        mount(device, path, read_only=read_only)
        if not read_only:
            (Path(path) / "lost+found").rmdir()  # which the caller's directory does not have
    if request["headers"]:
        show_headers(request["headers"])


def show_headers(device: str) -> None:
    """Put the kernel's headers where a distribution has them."""
    mount(device, "/usr/src", read_only=True)
    release = os.uname().release
    modules = Path("/lib/modules") / release
    modules.mkdir(parents=True, exist_ok=True)
    common = f"linux-headers-{release.removesuffix('-cloud-amd64')}-common"
    for link, goal in (("build", f"linux-headers-{release}"), ("source", common)):
        if not (modules / link).is_symlink():
            (modules / link).symlink_to(f"/usr/src/{goal}")
