from __future__ import annotations

import shutil
import subprocess

import pytest

from bpfprobe.lab.cpio import Archive


def entries(data):
    """A reader of the format, written apart from the writer."""
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        body = at + 110 + name_size
        body += -body % 4
        if name == "TRAILER!!!":
            return
        yield name, mode, data[body : body + size]
        at = body + size
        at += -at % 4


def test_entries_read_back():
    archive = Archive()
    archive.directory("bin")
    archive.file("bin/tool", b"\x00odd", 0o755)
    archive.file("empty", b"")
    archive.symlink("/init", "bin/tool")
    assert list(entries(bytes(archive))) == [
        ("bin", 0o040755, b""),
        ("bin/tool", 0o100755, b"\x00odd"),
        ("empty", 0o100644, b""),
        ("init", 0o120777, b"bin/tool"),
    ]


@pytest.mark.skipif(shutil.which("cpio") is None, reason="needs cpio to compare with")
def test_cpio_itself_reads_it():
    archive = Archive()
    for size in range(9):
        archive.file("n" * (size + 1), b"x" * size)
    done = subprocess.run(["cpio", "-t"], input=bytes(archive), capture_output=True, check=True)
    assert done.stdout.split() == [b"n" * (size + 1) for size in range(9)]
