"""A minimal Debian in a folder, as debootstrap makes it, with a clone of this checkout."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.lab.cache import Cache, keep_newest
from bpfprobe.lab.sources import KEYRING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.fresh.settings import Settings

CHECKOUT = Path(__file__).parents[2]
CLONE = "/root/bpfprobe"
# What README and CONTRIBUTING ask for, and what https needs.
INCLUDED = "ca-certificates,git,make"
KEPT_S = 14 * 24 * 3600.0
IDLE_S = 24 * 3600.0  # what a run that was killed has left
APT_HELPER = "/usr/lib/apt/apt-helper"

# In a mount namespace of its own, so that all is unmounted when the last process has ended. Its
# root is the new system: in a mere chroot(1) unshare(1) does not work without a mount point, and
# files that processes of other namespaces have mapped go by their paths outside.
ENTER = """
set -eu
root=$1; shift
mount --bind "$root" "$root"
for name in proc sys dev; do mount --rbind "/$name" "$root/$name"; done
mount -t tmpfs tmpfs "$root/run"
while [ "$1" != -- ]; do
    mkdir -p "$root$3"
    mount --bind "$2" "$root$3"
    [ "$1" != ro ] || mount -o remount,bind,ro "$root$3"
    shift 3
done
shift
cd "$root"
pivot_root . .
umount -l .
exec chroot . "$@"
"""


def mirror_is_reached(suite: str, settings: Settings) -> str | None:
    """Return None if the mirror has a suite, else what apt says."""
    uri = f"{settings.mirrors.main.rstrip('/')}/dists/{suite}/InRelease"
    with tempfile.TemporaryDirectory() as folder:
        command = [APT_HELPER, "download-file", uri, f"{folder}/InRelease"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"{uri}: {done.stderr.strip()}"


@dataclass(frozen=True)
class Debian:
    """A new system; ``root`` goes when the test has ended."""

    suite: str
    root: Path
    settings: Settings
    binds: tuple[tuple[str, Path, str], ...]

    def run(self, *command: str, **variables: str) -> tuple[int, str]:
        """Run a command as root in the clone; show what it prints, and how long it took."""
        started = time.monotonic()
        status, output = self._shown(command, variables)
        print(f"{self.suite} | {' '.join(command)}: {time.monotonic() - started:.0f} s")
        return status, output

    def _shown(self, command: Sequence[str], variables: Mapping[str, str]) -> tuple[int, str]:
        environ = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            **self.settings.environ,
            **variables,
        }
        binds = [word for mode, source, place in self.binds for word in (mode, str(source), place)]
        assignments = [f"{name}={value}" for name, value in environ.items()]
        inside = ["env", "-i", "-C", CLONE, *assignments, *command]
        lines = []
        with subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", ENTER, "sh", self.root, *binds, "--", *inside],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(f"{self.suite} | {line}", end="", flush=True)
                lines.append(line)
        return process.returncode, "".join(lines)


@contextmanager
def new_debian(suite: str, settings: Settings) -> Iterator[Debian]:
    """Set up a minimal system with this machine's settings and a clone of the checkout."""
    kept = Cache(Cache.default().root.with_name("fresh"))
    base = _base(kept, suite, settings)
    systems = kept.directory("systems")
    kept.prune(keep_newest(list(systems.iterdir()), 0, IDLE_S, time.time()))
    place = Path(tempfile.mkdtemp(prefix=f"{suite}.", dir=systems))
    root = place / "root"
    try:
        subprocess.run(["cp", "-a", "--reflink=auto", base, root], check=True)
        _apply(settings, suite, root)
        _clone(root)
        yield Debian(
            suite,
            root,
            settings,
            (
                *(("ro", folder, str(folder)) for folder in settings.folders),
                ("rw", kept.directory("archives", suite), "/var/cache/apt/archives"),
                ("rw", kept.directory("pip", suite), "/root/.cache/pip"),
            ),
        )
    finally:
        shutil.rmtree(place)


def _base(kept: Cache, suite: str, settings: Settings) -> Path:
    """Return what debootstrap made, at most two weeks ago; nothing of ours is in it."""
    base = kept.directory("bases") / suite
    if base.is_dir() and time.time() - base.stat().st_mtime < KEPT_S:
        return base
    with kept.building(base) as scratch:
        command = [
            "debootstrap",
            "--variant=minbase",
            f"--include={INCLUDED}",
            f"--keyring={KEYRING}",
            f"--cache-dir={kept.directory('archives', suite)}",
        ]
        done = subprocess.run(
            [*command, suite, scratch, settings.mirrors.main],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        scratch.chmod(0o755)
    return base


def _apply(settings: Settings, suite: str, root: Path) -> None:
    """Write this machine's settings where the new system looks for them."""
    sources = settings.mirrors.entries([suite, f"{suite}-updates", f"{suite}-security"])
    (root / "etc/apt/sources.list").write_text(sources)
    # Packages are kept where only root may go, so root fetches them.
    unboxed = 'APT::Sandbox::User "";\n'
    (root / "etc/apt/apt.conf.d/90machine").write_text(settings.apt + unboxed)
    for path in settings.files:
        if path.is_dir():
            shutil.copytree(path, root / path.relative_to("/"), dirs_exist_ok=True)
    subprocess.run(["chroot", root, "update-ca-certificates"], check=True, capture_output=True)
    for path in settings.files:
        if path.is_file():
            place = root / path.relative_to("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _clone(root: Path) -> None:
    """Clone the checkout's HEAD; git trusts it whoever owns it, as this process reads it anyway."""
    with tempfile.NamedTemporaryFile("w", suffix=".gitconfig") as config:
        config.write("[safe]\n\tdirectory = *\n")
        config.flush()
        command = ["git", "clone", "--quiet", "--no-hardlinks", CHECKOUT, f"{root}{CLONE}"]
        environ = {
            "PATH": "/usr/bin:/bin",
            "GIT_CONFIG_GLOBAL": config.name,
            "HOME": "/",
        }
        subprocess.run(command, check=True, env=environ)
