"""The guest's first file system: it loads modules, puts the root together and starts the agent."""

from __future__ import annotations

import shlex
from importlib import resources
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from bpfprobe.lab.cpio import Archive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bpfprobe.lab.kernel_image import KernelImage

AGENT_HOME = "/run/bpfprobe"
MODULES = f"{AGENT_HOME}/modules"
ROOT_DEVICE = "/dev/vda"

# The root is a tmpfs, so that a checkout or an environment can appear at any path. /usr is the
# image itself, read-only. /lib is a directory of links rather than a link to usr/lib, so that
# /lib/modules is absent until a test asks for kernel headers.
INIT = """\
#!/bin/busybox sh
set -e
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /boot/*.ko; do insmod $module; done
mount -t ext4 -o ro,noatime {root_device} /image
mount -t tmpfs -o mode=755 root /root
cd /root
mkdir proc sys dev usr etc run tmp var home root mnt opt srv lib
mount -o bind /image/usr usr
cp -a /image/etc/. etc
for entry in /image/usr/lib/*; do ln -s /usr/lib/${{entry##*/}} lib; done
ln -s usr/bin bin; ln -s usr/sbin sbin; ln -s usr/lib64 lib64
mkdir -p var/tmp var/log var/lib home/guest run/lock
chmod 1777 tmp var/tmp; chmod 700 root; chown 1000:1000 home/guest; ln -s /run var/run
mount -t tmpfs -o mode=755 local usr/local
mkdir -p .{agent_home}; cp -a /agent/. .{agent_home}
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
ln -sf /proc/self/fd /dev/fd
ln -sf fd/0 /dev/stdin; ln -sf fd/1 /dev/stdout; ln -sf fd/2 /dev/stderr
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf -o mode=700 bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ifconfig lo 127.0.0.1 up
{environments}
for directory in proc sys dev; do mount -o move /$directory $directory; done
export PATH={path} HOME=/root LANG=C.UTF-8 PYTHONPATH={agent_home} PYTHONDONTWRITEBYTECODE=1
exec switch_root /root {interpreter} -P -m bpfprobe_agent
"""
DIRECTORIES = (
    *("bin", "boot", "agent", "agent/bpfprobe_agent", "agent/modules"),
    *("image", "root", "proc", "sys", "dev"),
)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build_initramfs(
    kernel: KernelImage, busybox: bytes, interpreter: str, environments: Sequence[tuple[str, str]]
) -> bytes:
    """The archive for a kernel; ``environments`` are devices and the paths to mount them at."""
    archive = Archive()
    for name in DIRECTORIES:
        archive.directory(name)
    archive.file("bin/busybox", busybox, 0o755)
    _add_files(archive, "boot", kernel.boot_modules)
    _add_files(archive, "agent/modules", kernel.extra_modules)
    agent = resources.files("bpfprobe.lab.agent")
    for source in sorted(agent.iterdir(), key=lambda entry: entry.name):
        if source.name.endswith(".py"):
            archive.file(f"agent/bpfprobe_agent/{source.name}", source.read_bytes())
    archive.file("init", init_script(interpreter, environments).encode(), 0o755)
    return bytes(archive)


def init_script(interpreter: str, environments: Sequence[tuple[str, str]]) -> str:
    """The shell script that the kernel starts."""
    mounts = [
        f"mkdir -p .{shlex.quote(path)}; mount -t ext4 -o ro,noatime {device} .{shlex.quote(path)}"
        for device, path in environments
    ]
    return INIT.format(
        root_device=ROOT_DEVICE,
        agent_home=AGENT_HOME,
        environments="\n".join(mounts),
        path=guest_path(interpreter),
        interpreter=shlex.quote(interpreter),
    )


def guest_path(interpreter: str) -> str:
    """$PATH in the guest: the environment's own programs first."""
    own = str(PurePosixPath(interpreter).parent)
    return SYSTEM_PATH if own in SYSTEM_PATH.split(":") else f"{own}:{SYSTEM_PATH}"


def _add_files(archive: Archive, directory: str, files: Sequence[Path]) -> None:
    for file in files:
        archive.file(f"{directory}/{file.name}", file.read_bytes())
