"""tplist-bpfcc, asked about the same files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bpfprobe.resolve.usdt_operand import parse_usdt_operands
from bpfprobe.target.live import LiveTarget

FILES = (
    "usr/bin/python3",
    "usr/lib/x86_64-linux-gnu/libpython3.*.so.1.0",
    "usr/lib/x86_64-linux-gnu/libstdc++.so.6",
    "usr/bin/gcc",
    "usr/lib/postgresql/*/bin/postgres",
)
TPLIST = "tplist-bpfcc"

Place = tuple[int, tuple[tuple[int, str], ...]]


def as_tplist_sees(path: str) -> dict[str, set[Place]]:
    """Markers with the address of each place, and the size and sign of each argument there."""
    done = subprocess.run([TPLIST, "-l", path, "-vv"], capture_output=True, text=True, check=True)
    found: dict[str, set[Place]] = {}
    places: set[Place] = set()
    address, arguments = 0, []
    for line in [*done.stdout.splitlines(), "end:end"]:
        if marker := re.match(r"(\S+:\S+)", line):
            if address:
                places.add((address, tuple(arguments)))
            places = found.setdefault(marker[1], set())
            address, arguments = 0, []
        elif place := re.match(r" +location #\d+ .* (0x[0-9a-f]+)", line):
            if address:
                places.add((address, tuple(arguments)))
            address, arguments = int(place[1], 16), []
        elif argument := re.match(r" +argument #\d+ (\d) (\w+) +bytes @", line):
            arguments.append((int(argument[1]), argument[2]))
    del found["end:end"]
    return found


def as_we_see(path: str) -> dict[str, set[Place]]:
    target = LiveTarget()
    binary = target.binary(path)
    return {
        f"{marker.provider}:{marker.name}": {
            (
                place.address,
                tuple(
                    (operand.size, "signed" if operand.signed else "unsigned")
                    for operand in parse_usdt_operands(place.arguments, binary.machine)
                ),
            )
            for place in marker.locations
        }
        for marker in target.markers(binary)
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as tplist does")
@pytest.mark.skipif(shutil.which(TPLIST) is None, reason="needs tplist-bpfcc (bpfcc-tools)")
@pytest.mark.parametrize("pattern", FILES)
def test_the_same_markers_with_the_same_arguments(pattern: str) -> None:
    path = max(map(str, Path("/").glob(pattern)), default=None)
    if path is None:
        pytest.skip(f"needs {pattern}")
    theirs = as_tplist_sees(os.path.realpath(path))
    assert theirs
    assert as_we_see(path) == theirs
