"""A PostgreSQL server of its own, on loopback, its data in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = Path("/usr/lib/postgresql")
USER = "nobody"
"""The server refuses to run as root."""


class Server:
    """A server that runs."""

    def __init__(self, program: Path, folder: Path, port: str) -> None:
        self.program, self.folder, self.port = str(program), folder, port

    def query(self, *texts: str) -> str:
        """What psql prints; each text is a query of its own."""
        commands = [part for text in texts for part in ("-c", text)]
        psql = [str(Path(self.program).with_name("psql")), "-h", "127.0.0.1", "-p", self.port]
        command = [*psql, "-U", USER, "-d", "postgres", "-XAtq", *commands]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def running_server() -> Iterator[Server]:
    """A new database, and a server of it on loopback until the end."""
    program = max(PROGRAMS.glob("*/bin/postgres"), default=None)
    if program is None:
        pytest.skip("needs the server of Debian's package postgresql")
    folder = Path(tempfile.mkdtemp(prefix="bpfprobe-postgres-"))
    user = pwd.getpwnam(USER)
    os.chown(folder, user.pw_uid, user.pw_gid)
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}
    data = str(folder / "data")
    port = str(_free_port())
    initdb = [str(program.with_name("initdb")), "-D", data, "-A", "trust", "-U", USER, "--no-sync"]
    try:
        subprocess.run([*initdb, "--locale=C", "-E", "UTF8"], check=True, stdout=subprocess.DEVNULL,
                       **as_user)  # fmt: skip
        command = [program, "-D", data, "-h", "127.0.0.1", "-p", port, "-k", folder, "-F"]
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, **as_user)
        try:
            server = Server(program, folder, port)
            _await(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=60)
    finally:
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _await(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 100
    while True:
        try:
            server.query("select 1")
        except subprocess.CalledProcessError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((server.folder / "log").read_text() + error.stderr) from error
            time.sleep(0.1)
        else:
            return
