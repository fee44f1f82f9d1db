"""Running the few outside programs that a set-up needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from bpfprobe.lab.errors import LabUnavailable
from bpfprobe.trust import trusted_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ERROR_LINES = 6


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a program: for root, others can put none into its PATH."""
    return {**os.environ, "PATH": trusted_path(os.environ.get("PATH") or os.defpath), **more}


def find_program(name: str) -> str | None:
    """Return the path of a program of the host, None where there is none."""
    return shutil.which(name, path=environment()["PATH"])


def run_tool(
    argv: Sequence[str],
    *,
    hint: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 600,
) -> bytes:
    """Run a program and return its output; a failure names the program and its last words."""
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=env or environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabUnavailable(f"the program {argv[0]} is not installed", hint=hint) from error
    except OSError as error:
        raise LabUnavailable(
            f"the program {argv[0]} cannot be run: {error.strerror}", hint=hint
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabUnavailable(
            f"{argv[0]} did not end within {timeout_s:.0f} s", hint=hint
        ) from error
    if done.returncode:
        raise LabUnavailable(
            f"{argv[0]} failed with status {done.returncode}: {last_words(done.stderr)}", hint=hint
        )
    return done.stdout


def last_words(output: bytes) -> str:
    """The last lines of a program's complaints, joined."""
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines()]
    return "; ".join([line for line in lines if line][-ERROR_LINES:]) or "it said nothing"
