"""`tools/setup` works on a machine that lacks packages, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONF = "bpfprobe-setup.conf"

# Stands in for the programs that change a machine. dpkg-query says that git alone is installed;
# tee, rm and mkdir have /etc/postgresql-common in a folder of the test's.
PROGRAMS = {
    "id": "echo 0",
    "dpkg-query": 'echo "git installed"',
    "mkdir": ":",
    "tee": 'cat >"$FAKE/${1##*/}"',
    "rm": 'for last; do :; done; exec /bin/rm -f "$FAKE/${last##*/}"',
    "apt-get": """
        echo "$@" >>"$FAKE/apt-get.log"
        case " $* " in *" install "*) cat "$FAKE"/*.conf >"$FAKE/seen"; eval "$ON_INSTALL" ;; esac
    """,
}
FOR_DEMO = {"libbpf1", "make", "python3-bpfcc", "python3-venv"}


@dataclass(frozen=True)
class Setup:
    """A checkout's set-up, with a machine that is not there."""

    checkout: Path
    fake: Path

    def run(self, *arguments: str, on_install: str = "true") -> subprocess.CompletedProcess[str]:
        path = f"{self.fake / 'bin'}:{os.environ['PATH']}"
        env = {"PATH": path, "FAKE": str(self.fake), "ON_INSTALL": on_install}
        command = [self.checkout / "tools" / "setup", *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def installed(self) -> set[str]:
        lines = (self.fake / "apt-get.log").read_text().splitlines()
        (line,) = [line for line in lines if " install " in line]
        return set(line.partition("--no-install-recommends ")[2].split())

    def pip(self) -> list[str]:
        return (self.fake / "pip.log").read_text().splitlines()


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    checkout, fake = tmp_path / "checkout", tmp_path / "fake"
    shutil.copytree(ROOT / "tools", checkout / "tools")
    shutil.copy(ROOT / "setup.cfg", checkout)
    (fake / "bin").mkdir(parents=True)
    for name, body in PROGRAMS.items():
        script(fake / "bin" / name, body)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    script(checkout / ".venv" / "bin" / "python", '[ "$1" = -c ] || echo "$*" >>"$FAKE/pip.log"')
    return Setup(checkout, fake)


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_what_is_missing_is_installed(setup: Setup) -> None:
    done = setup.run("demo")
    assert (done.returncode, setup.installed()) == (0, FOR_DEMO)
    assert (setup.fake / "seen").read_text() == "create_main_cluster = false\n"
    assert not (setup.fake / CONF).exists()


@pytest.mark.parametrize("arguments", [(), ("test",), ("bench",)])
def test_tests_need_more_than_the_demo(setup: Setup, arguments: tuple[str, ...]) -> None:
    assert setup.run(*arguments).returncode == 0
    assert setup.installed() > FOR_DEMO | {"rustc", "postgresql", "shellcheck"}
    assert ("bpftrace" in setup.installed()) is (arguments == ("bench",))


def test_environment_of_the_tests_is_one_for_the_demo(setup: Setup) -> None:
    for level in ("demo", "demo", "test", "demo", "test", "bench"):
        assert setup.run(level).returncode == 0
    assert [line.split()[-1] for line in setup.pip()] == [".", ".[test]"]


def test_unknown_purpose_is_refused(setup: Setup) -> None:
    done = setup.run("clang")
    assert done.returncode == 2
    assert "demo, test or bench, not for clang" in done.stderr
    assert not (setup.fake / "apt-get.log").exists()


def test_user_without_sudo_gets_the_command(setup: Setup) -> None:
    script(setup.fake / "bin" / "id", "echo 1000")
    script(setup.fake / "bin" / "sudo", "exit 1")
    done = setup.run("demo")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("setup: as root: apt-get install --no-install-recommends ")
    assert set(last.partition("--no-install-recommends ")[2].split()) == FOR_DEMO
    assert not (setup.fake / "apt-get.log").exists()


@pytest.mark.parametrize(
    ("on_install", "status"),
    [
        ("exit 100", 100),
        ("kill -INT $PPID", 128 + signal.SIGINT),
        ("kill -TERM $PPID", 128 + signal.SIGTERM),
        ("kill -HUP $PPID", 128 + signal.SIGHUP),
    ],
)
def test_setup_that_is_cut_short_leaves_nothing(setup: Setup, on_install: str, status: int) -> None:
    assert setup.run(on_install=on_install).returncode == status
    assert (setup.fake / "seen").exists()
    assert not (setup.fake / CONF).exists()
    assert not (setup.fake / "pip.log").exists()


def test_shellcheck_finds_a_variable_that_is_never_set(tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck")
    shutil.copy(ROOT / ".shellcheckrc", tmp_path)
    script(tmp_path / "bad", 'echo "$NO_CLUSTER"')
    done = subprocess.run(["shellcheck", tmp_path / "bad"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "NO_CLUSTER is referenced but not assigned" in done.stdout


def test_every_shell_script_is_checked() -> None:
    listed = subprocess.run(
        [ROOT / "tools" / "shell-scripts"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {".ci/run", "tools/as-root", "tools/setup", "tools/with-tracefs"} <= set(listed)
    assert "shellcheck $$(tools/shell-scripts)" in (ROOT / "Makefile").read_text()
