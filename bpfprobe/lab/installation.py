"""All that the lab keeps in its cache, fetched and built at the first use of each piece."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bpfprobe.lab.apt import Apt
from bpfprobe.lab.cache import keep_newest
from bpfprobe.lab.errors import KernelUnavailable, LabUnavailable
from bpfprobe.lab.headers import fetch_headers
from bpfprobe.lab.kernel_image import KernelImage, fetch_kernel
from bpfprobe.lab.kernels import choose, is_release_of, releases_in
from bpfprobe.lab.root_image import RootImage, fetch_root, suite_of_host
from bpfprobe.lab.sources import MIRROR_VARIABLE, read_mirrors
from bpfprobe.lab.tools import Emulator, Tools, fetch_tools, host_qemu, packed_qemu

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfprobe.lab.cache import Cache
    from bpfprobe.lab.kernels import Matrix, WantedKernel
    from bpfprobe.lab.progress import Progress

KEPT = 2
IDLE_S = 24 * 3600.0
LISTS_FRESH_S = 6 * 3600.0
OS_RELEASE = Path("/etc/os-release")
ETC_APT = Path("/etc/apt")
IMAGES = r"^linux-image-[0-9.]+.*-cloud-amd64$"


@dataclass(frozen=True, slots=True)
class Installation:
    """The pieces of the lab; each method returns one, making it first when it is missing.

    What was made is written down in the cache, so a warm start asks neither apt nor the mirror.
    """

    cache: Cache
    matrix: Matrix
    progress: Progress

    def tools(self) -> Tools:
        """The host's programs."""
        return Tools(Path(self._tools()["path"]))

    def emulator(self) -> Emulator:
        """The QEMU to use: the machine's own where it is safe, else the lab's."""
        record = self._tools()
        return Emulator(tuple(record["command"]), record["version"], bool(record["threads"]))

    def root(self) -> RootImage:
        """The guest's user space."""
        tools = self.tools()
        record = self._recorded("root", lambda: self._make_root(tools))
        return RootImage(Path(record["path"]), record["suite"])

    def find(self, name: str | None) -> WantedKernel:
        """Return the row that ``name`` means: a name of the matrix, or a version that a row is.

        None is the default, or the newest where the default can no longer be had.
        """
        named = self.matrix.find(name)
        if named is not None:
            return named if name is not None else self._default(named)
        for row in self.matrix.kernels:
            known = self.known_kernel(row)
            if known is not None and is_release_of(str(name), known.release):
                return row
        newest = self.matrix.newest
        today = self.release(newest) if self.matrix.may_be_newest(str(name)) else None
        if today is not None and is_release_of(str(name), today):
            return newest
        meaning = f" ({today} today)" if today else ""
        raise LabUnavailable(
            f"the lab has no kernel {name!r}",
            hint=f"choose one of {', '.join(self.matrix.names)}{meaning}",
        )

    def release(self, wanted: WantedKernel) -> str:
        """Return the release that a row is: the one that was set up, else the one on offer."""
        known = self.known_kernel(wanted)
        return known.release if known is not None else self._offered(wanted)[1]

    def kernel(self, wanted: WantedKernel) -> KernelImage:
        """The kernel that was chosen for a row of the matrix."""
        tools = self.tools()
        name = f"kernel-{wanted.name}"
        record = self._recorded(name, lambda: self._make_kernel(wanted, tools))
        return KernelImage(record["release"], Path(record["path"]))

    def headers(self, release: str) -> Path:
        """The header image of a kernel."""
        tools = self.tools()

        def make() -> dict[str, Any]:
            apt = self._apt(self.matrix.suites)
            image = fetch_headers(self.cache, apt, tools, release, self.progress)
            return {"path": str(image), "release": release}

        return Path(self._recorded(f"headers-{release}", make)["path"])

    def known_kernel(self, wanted: WantedKernel) -> KernelImage | None:
        """The kernel of a row if it was set up before."""
        record = self.cache.record(f"kernel-{wanted.name}")
        if record is None or not Path(record["path"]).is_dir():
            return None
        return KernelImage(record["release"], Path(record["path"]))

    def forget(self) -> None:
        """Look for newer packages at the next use of each piece."""
        for path in self.cache.directory("records").glob("*.json"):
            path.unlink()

    def _tools(self) -> dict[str, Any]:
        return self._recorded("tools", self._make_tools)

    def _recorded(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What was noted when a piece was made; ``make`` it under the lock when it is not there."""
        record = self._valid(name)
        if record is None:
            with self.cache.lock("installation"):
                record = self._valid(name)
                if record is None:
                    record = make()
                    self.cache.write_record(name, record)
                    self._tidy()
        return record

    def _tidy(self) -> None:
        """Remove what was replaced, and apt's index of its lists, which is soon made again."""
        self.cache.prune([self.cache.directory("apt") / "views"])
        for kind in ("tools", "root"):
            made = list(self.cache.directory(kind).glob("[!.]*"))
            self.cache.prune(keep_newest(made, KEPT, IDLE_S, time.time()))

    def _valid(self, name: str) -> dict[str, Any] | None:
        record = self.cache.record(name)
        return record if record is not None and Path(record["path"]).exists() else None

    def _make_tools(self) -> dict[str, Any]:
        wish = self.matrix.tools
        own = host_qemu(wish.safe_version)
        take_own = own is not None and own.threads
        apt = self._apt(wish.suites)
        tools = fetch_tools(self.cache, apt, wish, with_qemu=not take_own, progress=self.progress)
        emulator = own if take_own else packed_qemu(tools, wish.safe_version)
        if emulator is None:
            raise LabUnavailable(
                "the fetched QEMU does not run on this machine",
                hint=f"install a QEMU of version {wish.safe_version} or later",
            )
        return {"path": str(tools.root), **emulator.as_record()}

    def _make_root(self, tools: Tools) -> dict[str, Any]:
        userland = self.matrix.userland
        text = OS_RELEASE.read_text() if OS_RELEASE.exists() else ""
        suite = suite_of_host(userland, text)
        apt = self._apt((suite, f"{suite}-security") if suite != "sid" else (suite,))
        root = fetch_root(self.cache, apt, tools, userland, suite, self.progress)
        return {"path": str(root.directory), "suite": suite}

    def _default(self, wanted: WantedKernel) -> WantedKernel:
        try:
            self.release(wanted)
        except KernelUnavailable as error:
            self.progress.note(f"{error.message}; taking the newest there is")
            return self.matrix.newest
        return wanted

    def _make_kernel(self, wanted: WantedKernel, tools: Tools) -> dict[str, Any]:
        apt, release = self._offered(wanted)
        modules = self.matrix.userland.modules
        kernel = fetch_kernel(self.cache, apt, tools, release, modules, self.progress)
        return {"path": str(kernel.directory), "release": release}

    def _offered(self, wanted: WantedKernel) -> tuple[Apt, str]:
        """Return the release that the mirror offers for a row, and the apt that sees it."""
        for suites in (wanted.suites, self.matrix.suites):
            apt = self._apt(suites)
            release = choose(wanted, releases_in(apt.names(IMAGES)))
            if release is not None:
                return apt, release
        raise KernelUnavailable(
            f"kernel {wanted.name} can no longer be had from this mirror",
            hint=f"set {MIRROR_VARIABLE} to a mirror with {', '.join(wanted.suites)}",
        )

    def _apt(self, suites: tuple[str, ...]) -> Apt:
        """An apt that sees ``suites``, with package lists from today."""
        if platform.machine() != "x86_64":
            raise LabUnavailable(
                f"the lab's guests are x86-64 machines, and this one is {platform.machine()}",
                hint="run it on an x86-64 host",
            )
        mirrors = read_mirrors(ETC_APT, os.environ.get(MIRROR_VARIABLE))
        apt = Apt(self.cache.directory("apt"), mirrors, suites)
        absent = self._refresh_lists(apt)
        return apt.view(tuple(suite for suite in suites if suite not in absent))

    def _refresh_lists(self, apt: Apt) -> list[str]:
        """Fetch the lists that are old; return the suites that are not to be had."""
        now = time.time()
        dates: dict[str, float] = self.cache.record("lists") or {}
        old = tuple(s for s in apt.suites if now - abs(dates.get(s, 0)) > LISTS_FRESH_S)
        absent: list[str] = []
        if old:
            with self.progress.step(f"fetching package lists of {', '.join(old)}"):
                absent = apt.view(old).update()
            for suite in absent:
                self.progress.note(f"the mirror does not have the suite {suite}")
            # A suite that was not there is noted with a negative date.
            dates.update({suite: -now if suite in absent else now for suite in old})
            self.cache.write_record("lists", dates)
        return [suite for suite in apt.suites if dates[suite] < 0]
