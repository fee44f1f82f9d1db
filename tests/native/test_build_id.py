"""Debug files by build-id, where distributions put them: below /usr/lib/debug/.build-id."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.native.programs import needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = [
    *needs_uprobes,
    pytest.mark.skipif(shutil.which("objcopy") is None, reason="needs binutils"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1)"),
]

ROOT = Path(__file__).parents[2]
DEBUG = Path("/usr/lib/debug")
TRACE = [sys.executable, "-m", "bpfprobe.cli.main", "trace"]

SOURCE = """
#include <unistd.h>
struct order { long id; const char *what; };
static __attribute__((noinline)) void sell(struct order *order, int count)
{
    __asm__ volatile("" ::"r"(order), "r"(count) : "memory");
}
int main(void)
{
    char go;
    while (read(0, &go, 1) == 1) {
        for (int n = 0; n < 23; n++) {
            struct order order = {1000 + n, "pears"};
            if (*(volatile const char *)order.what == 'p') /* a page never touched cannot be read */
                sell(&order, 2 * n);
        }
        if (write(1, "k", 1) != 1)
            return 1;
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def debug_folder() -> Iterator[None]:
    """Something to mount over, which no file of ours goes to."""
    is_new = not DEBUG.exists()
    if is_new:
        DEBUG.mkdir()
    yield
    if is_new:
        DEBUG.rmdir()


def built(folder: Path, *options: str) -> tuple[Path, Path, str]:
    """A stripped program, its debug file, and where that is by its build-id."""
    source, program, debug = folder / "sell.c", folder / "sell", folder / "sell.debug"
    source.write_text(SOURCE)
    commands: list[list[Any]] = [
        ["gcc", "-O1", "-g", *options, "-Wl,--build-id", "-o", program, source],
        ["objcopy", "--only-keep-debug", program, debug],
        ["strip", program],
    ]
    for command in commands:
        subprocess.run(command, check=True)
    told = subprocess.run(["readelf", "-n", program], check=True, capture_output=True, text=True)
    found = re.search(r"Build ID: ([0-9a-f]{2})([0-9a-f]+)", told.stdout)
    assert found is not None
    return program, debug, f"usr/lib/debug/.build-id/{found[1]}/{found[2]}.debug"


def rows(command: list[Any], process: subprocess.Popen[bytes]) -> list[list[str]]:
    """What a tracer prints of the program's 23 calls, the first frame of each behind its values."""
    assert process.stdin is not None
    assert process.stdout is not None
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tracer:
        assert tracer.stdout is not None
        header = tracer.stdout.readline()  # once the probe is there
        if header:
            process.stdin.write(b"g")
            process.stdout.read(1)
        printed, complaints = tracer.communicate(timeout=60)
    assert header, complaints
    lines = printed.splitlines()
    first = [n for n, line in enumerate(lines) if not line.startswith("        ")]
    return [[*lines[n].split()[2:], lines[n + 1].strip()] for n in first]


VALUES = "sell id=order->id what=order->what count ustack"
WANTED = [[str(1000 + n), "pears", str(2 * n), "sell+0x0 [sell]"] for n in range(23)]
IN_NAMESPACE = (
    'debug=$1 place=$2; shift 2; mount -t tmpfs none /usr/lib/debug && mkdir -p "${place%/*}" && '
    'cp "$debug" "$place" && exec "$@"'
)


def started(command: list[Any]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)


@pytest.mark.usefixtures("debug_folder")
def test_names_of_a_stripped_program(tmp_path: Path) -> None:
    """Its static function, its arguments, the members of their structs, its frames."""
    program, debug, place = built(tmp_path)
    probe = f"uprobe:{program}:{VALUES}"
    unshare = ["unshare", "-m", "sh", "-c", IN_NAMESPACE, "sh", debug, f"/{place}"]
    with started([program]) as process:
        found = rows([*unshare, *TRACE, probe, "--max-events", "23"], process)
    assert found == WANTED
    refused = subprocess.run([*TRACE, probe], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0, "it was there for that tracer only"
    assert "sell" in refused.stderr
    assert f"/{place}" in refused.stderr, "where its debug file would be"


def test_names_of_a_program_in_a_root_directory_of_its_own(tmp_path: Path) -> None:
    """Which has its debug files with it, as containers do."""
    program, debug, place = built(tmp_path, "-static")
    root = tmp_path / "root"
    (root / place).parent.mkdir(parents=True)
    shutil.copy(debug, root / place)
    shutil.copy(program, root / "sell")
    with started(["chroot", root, "/sell"]) as process:
        options = ["-p", str(process.pid), "--max-events", "23"]
        found = rows([*TRACE, *options, f"uprobe:/sell:{VALUES}"], process)
    assert found == WANTED
