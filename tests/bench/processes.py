"""The processes of a run: what is traced, and what traces it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from tests.bench.workload import Unmeasurable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.setting import Setting

TIMEOUT_S = 120.0
BREAKPOINT = b"\xcc"
POLL_S = 0.0002


def build_producer(folder: Path) -> Path:
    """The program of producer.c."""
    path = folder / "producer"
    source = Path(__file__).with_name("producer.c")
    subprocess.run(["gcc", "-O1", "-pthread", "-w", "-o", path, source], check=True)
    return path


class Process:
    """A process with pipes; leaving the block ends it. ``output`` takes what it prints."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str] | None,
        cpu: int | None,
        output: IO[bytes] | None = None,
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed by __exit__
        self.started_ns = time.monotonic_ns()
        self._process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output or subprocess.PIPE,
            stderr=self._errors,
        )
        self.pid = self._process.pid
        self._rest = b""
        if cpu is not None:
            os.sched_setaffinity(self.pid, {cpu})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                pipe.close()

    def tell(self, text: str = "") -> None:
        """A line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")
        self._process.stdin.flush()

    def line(self, timeout_s: float = TIMEOUT_S) -> str:
        """The next line that it prints. Raises `Unmeasurable`."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._process.stdout], [], [], max(left, 0))
            part = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            if not part:
                raise Unmeasurable(self._complaint("ended" if ready else "said nothing"))
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def peak_kb(self) -> float:
        """The most memory that it had, in kB, without that of other processes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return float(status.partition("VmHWM:")[2].split()[0])

    def processor_ms(self) -> float:
        """Processor time up to now, with that of children that have ended (in steps of 10 ms)."""
        own = sum(
            int((task / "schedstat").read_text().split()[0])
            for task in Path(f"/proc/{self.pid}/task").iterdir()
        )
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(words[13]) + int(words[14])  # cutime and cstime, see proc(5)
        return own / 1e6 + ticks * 1000 / os.sysconf("SC_CLK_TCK")

    def _complaint(self, what: str) -> str:
        self._errors.seek(0)
        lines = [
            line for line in self._errors.read().decode("utf-8", "replace").splitlines() if line
        ]
        return f"it {what}: {lines[-1] if lines else 'no word why'}"


class Producer(Process):
    """What is traced."""

    def __init__(self, setting: Setting, *mode: object) -> None:
        argv = [str(setting.producer), *map(str, mode)]
        super().__init__(argv, None, setting.producer_cpu)
        self._work = int(self.line(), 16)

    def run(self, count: int) -> tuple[int, float]:
        """Have it do something so often; when it began (ns, monotonic), and what one took (ns)."""
        self.tell(str(count))
        start, each = self.line().split()
        return int(start), float(each)

    def await_probe(self, *, there: bool = True, timeout_s: float = TIMEOUT_S) -> int:
        """Wait until work() is probed, or no more; when that was seen (ns, monotonic)."""
        deadline = time.monotonic() + timeout_s
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            while True:
                memory.seek(self._work)
                if (memory.read(1) == BREAKPOINT) is there:
                    return time.monotonic_ns()
                if time.monotonic() > deadline:
                    raise Unmeasurable(f"work() was not {'probed' if there else 'left alone'}")
                time.sleep(POLL_S)


class Tracer(Process):
    """What traces; it prints JSON objects."""

    def __init__(
        self,
        setting: Setting,
        argv: Sequence[str],
        cache: Path | None = None,
        *,
        pinned: bool = True,
    ) -> None:
        cpu = setting.tracer_cpu if pinned else None
        super().__init__(argv, setting.environment(cache), cpu)

    def answer(self) -> dict[str, Any]:
        """The next object. What else is printed, such as warnings of a compiler, is passed over."""
        while True:
            line = self.line()
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
