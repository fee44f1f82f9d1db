"""The examples for programs, run as commands beside real programs that the tests start."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from textwrap import indent
from typing import TYPE_CHECKING

from side_by_side import Tracer, our_tool

from tests.native.following import Host, build_plugin
from tests.native.postgres import running_server
from tests.native.programs import needs_uprobes, python_with_calls, real

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_uprobes


@contextmanager
def tool(header: bytes, name: str, *options: str) -> Iterator[Tracer]:
    """An example that has attached its probes, as its header tells."""
    tracer = Tracer(our_tool(name, *options))
    try:
        tracer.wait_for(header)
        yield tracer
    finally:
        tracer.end()


class Script:
    """A script of a Python that does its work each time it is told to."""

    def __init__(self, python: str, before: str, work: str, *given: object) -> None:
        loop = f"for line in sys.stdin:\n{indent(work, '    ')}\n    print(line, flush=True)\n"
        source = f"import sys\n{before}\n{loop}"
        command = [python, "-S", "-E", "-c", source, *map(str, given)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.pid = str(self.process.pid)

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def work(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        assert self.process.stdout.read(2) == b"\n\n"


def test_bashreadline() -> None:
    commands = [*(f"echo number {number} of\\ 22 'ä'" for number in range(22)), "exit"]
    with tool(b"COMMAND", "bashreadline") as tracer:
        pid, terminal = pty.fork()
        if not pid:
            os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "-i"])
        with open(terminal, "wb", buffering=0) as typed:
            typed.write("".join(f"{one}\n" for one in commands).encode())
            while True:
                try:
                    if not os.read(terminal, 4096):
                        break
                except OSError:  # Linux's word for the end of a pseudo-terminal
                    break
            assert os.waitpid(pid, 0)[1] == 0
        tracer.wait_for(b"exit\n")
        rows = [line for line in tracer.stop() if b" %d " % pid in line]
    pattern = re.compile(rf"\d\d:\d\d:\d\d  {pid:<7d} (.*)")
    found = [pattern.fullmatch(line.decode()) for line in rows]
    assert [one and one[1] for one in found] == [one.replace("\\", "\\\\") for one in commands]


def test_gethostlatency() -> None:
    before = "import socket\nlong = 'x' * 5000"
    work = (
        "for number in range(23): socket.getaddrinfo('127.0.0.%d' % number, 80)\n"
        "for number in range(7): socket.gethostbyname_ex('localhost')\n"
    )
    with (
        Script(sys.executable, before, work) as script,
        tool(b"HOST", "gethostlatency", "-p", script.pid) as tracer,
    ):
        script.work()
        tracer.wait_for(b"127.0.0.22\n")
        rows = [line.decode() for line in tracer.stop()]
    pattern = re.compile(rf"\d\d:\d\d:\d\d  {script.pid:<7s} \S+ +\d+\.\d\d (\S+)")
    found = [pattern.fullmatch(row) for row in rows]
    hosts = [one[1] for one in found if one]
    assert len(hosts) == len(rows)
    assert [host for host in hosts if host != "localhost"] == [f"127.0.0.{n}" for n in range(23)]


def test_ucalls() -> None:
    before = "def leaf(n): return n\ndef down(n): return leaf(n) if n < 2 else down(n - 1)"
    work = "for number in range(23): leaf(number)\ndown(7)"
    with Script(python_with_calls(), before, work) as script:
        for options in ([], ["-L", "-m"]):
            with tool(b"Ctrl-C", "ucalls", *options, script.pid) as tracer:
                script.work()
                rows = [line.decode().split() for line in tracer.stop()]
            assert ["<string>.down", "7"] in [row[:2] for row in rows]
            assert ["<string>.leaf", "24"] in [row[:2] for row in rows]
    times = {row[0]: float(row[2]) for row in rows[2:]}
    assert times["<string>.down"] > 0


def test_ucalls_of_intervals_and_the_top() -> None:
    before = "def often(): pass\ndef seldom(): pass"
    work = "for number in range(13): often()\nseldom()"
    with Script(python_with_calls(), before, work) as script:
        script.work()  # before, and not counted
        with tool(b"Ctrl-C", "ucalls", "-T", "1", script.pid, "0.5") as tracer:
            script.work()
            tracer.wait_for(b"often")
            script.work()
            rows = [line.split() for line in tracer.stop()]
    counted = [row for row in rows if b"<string>." in b" ".join(row)]
    assert {row[0] for row in counted} <= {b"<string>.often", b"<string>.seldom"}
    assert sum(int(row[1]) for row in counted if row[0] == b"<string>.often") == 26


def test_ugc() -> None:
    before = "import gc\ngc.disable()\nclass Loop: pass\ngc.collect()"
    work = (
        "for number in range(7): gc.collect(1)\n"
        "for number in range(11):\n    loop = Loop(); loop.itself = loop\n"
        "del loop\ngc.collect()\n"
    )
    with Script(real("python3", "python3"), before, work) as script:
        with tool(b"DESCRIPTION", "ugc", script.pid) as tracer:
            script.work()
            tracer.wait_for(b"gen 2 GC collected 11 objects\n")
            rows = [line.decode().split(maxsplit=2) for line in tracer.stop()[1:]]
        with tool(b"DESCRIPTION", "ugc", "-m", "-F", "gen 2", script.pid) as tracer:
            script.work()
            tracer.wait_for(b"gen 2 GC collected 11 objects\n")
            filtered = [line.decode().split(maxsplit=2) for line in tracer.stop()[1:]]
    last = "gen 2 GC collected 11 objects"
    assert [row[2] for row in rows] == ["gen 1 GC collected 0 objects"] * 7 + [last]
    assert [row[2] for row in filtered] == [last]
    assert all(float(row[0]) >= 0 and float(row[1]) >= 0 for row in rows + filtered)


def count(*options: str, script: Script) -> Counter[str]:
    with tool(b"Ctrl-C", "funccount", "-p", script.pid, *options) as tracer:
        script.work()
        rows = [line.decode().split() for line in tracer.stop()]
    assert rows[-1] == ["Detaching..."]
    assert ["FUNC", "COUNT"] in rows
    return Counter({row[0]: int(row[1]) for row in rows[rows.index(["FUNC", "COUNT"]) + 1 : -1]})


def test_funccount(tmp_path: Path) -> None:
    before = "import ctypes\nlibc = ctypes.CDLL(None)\nroom = ctypes.create_string_buffer(64)"
    work = (
        "for number in range(23): libc.memfrob(room, 64)\n"
        "for number in range(29): libc.memmem(room, 64, b'no', 2)\n"
        "for number in range(31): libc.labs(number)\n"
    )
    with Script(real("python3", "python3"), before, work) as script:
        mem = count("c:mem*", script=script)
        assert (mem["memfrob"], mem["memmem"], mem["labs"]) == (23, 29, 0)
        assert count("c:labs", script=script) == {"labs": 31}
        assert count("t:raw_syscalls:sys_enter", script=script)["sys_enter"] >= 2


def test_funccount_of_a_library_that_is_loaded_later(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "plugin.so"
    options = ["--follow", "-p", str(host.pid), f"{path}:plug"]
    with tool(b"Ctrl-C", "funccount", *options) as tracer:
        tracer.wait_to_say(b"plug waits for")
        build_plugin(path)
        host(f"load {path}")
        tracer.wait_to_say(b"plug goes to")
        host("call 23")
        rows = [line.decode().split() for line in tracer.stop()]
    assert ["plug", "23"] in rows


def test_dbslower() -> None:
    long = "select length('" + "x" * 5000 + "')"
    queries = [f"select '{number}\\ä\t', pg_sleep(0.001)" for number in range(21)] + [long]
    with running_server() as server:
        with tool(b"QUERY", "dbslower", "postgres", "-m", "0") as tracer:
            server.query(*queries, "select 'slow', pg_sleep(0.3)")
            tracer.wait_for(b"'slow', pg_sleep(0.3)\n")
            everything = tracer.stop()[1:]
        with tool(b"QUERY", "dbslower", "postgres", "-m", "250", "-x", server.program) as tracer:
            server.query("select 'quick'", "select 'slow', pg_sleep(0.3)")
            tracer.wait_for(b"'slow', pg_sleep(0.3)\n")
            slow = tracer.stop()[1:]
    wanted = [query.replace("\\", "\\\\").replace("\t", "\\t") for query in queries[:-1]]
    wanted += [long[:4095] + "...", "select 'slow', pg_sleep(0.3)"]
    rows = [line.decode().split(maxsplit=3) for line in everything]
    assert [row[3] for row in rows] == wanted
    assert len({row[1] for row in rows}) == 1
    assert all(float(row[2]) >= 1 for row in rows[:21])
    (row,) = [line.decode().split(maxsplit=3) for line in slow if b"slow" in line]
    assert float(row[2]) >= 300
    assert not [line for line in slow if b"quick" in line and float(line.split()[2]) < 250]


TLS = """
import ssl, socket, sys, threading
here, connections = socket.create_server(("127.0.0.1", 0)), []
def serve():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    server = context.wrap_socket(here.accept()[0], server_side=True)
    connections.append(server)  # not closed before the end
    while (data := server.recv(65536)) != b"bye":
        server.sendall(data[:100])
def exchange():
    thread = threading.Thread(target=serve)
    thread.start()
    context = ssl.create_default_context(cafile=sys.argv[1])
    raw = socket.create_connection(here.getsockname())
    client = context.wrap_socket(raw, server_hostname="localhost")
    connections.append(client)
    for number in range(23):
        client.sendall(b"message %d\\n\\0\\xff" % number)
        client.recv(100)
    client.sendall(bytes(range(250)) * 40)
    client.recv(100)
    client.sendall(b"bye")
    thread.join()
    client.sendall(b"after all")  # else has returned by then
"""


def certificate(folder: Path) -> Path:
    both = folder / "both.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    request += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(both), "-out", str(both)]
    subprocess.run(request, check=True, capture_output=True)
    return both


def test_sslsniff_of_handshakes(tmp_path: Path) -> None:
    options = ["-l", "--handshake", "-x", "-g", "-n", "--max-buffer-size", "8"]
    with (
        Script(real("python3", "python3"), TLS, "exchange()", certificate(tmp_path)) as script,
        tool(b"LAT(ms)", "sslsniff", "-p", script.pid, *options) as tracer,
    ):
        script.work()
        tracer.wait_for(b"after al\n----- END DATA (TRUNCATED, 1 bytes lost) -----\n")
        rows = [line.decode().split() for line in tracer.stop()]
    seen = [row for row in rows if row[:1] == ["HANDSHAKE"]]
    assert [(row[3], row[4], row[5]) for row in seen] == [(script.pid, "1", "0")] * 2
    assert len({row[6] for row in seen}) == 2
    assert all(float(row[7]) > 0 for row in seen)


def test_sslsniff_of_no_library_and_of_none_that_it_knows() -> None:
    wrong = {"[SESSION]": ["-o"], "[USAGE]": ["--extra-lib", "foo:bar"]}
    for code, options in (wrong | {"[OPTION]": ["--max-buffer-size", "0"]}).items():
        command = our_tool("sslsniff", *options)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode in (1, 2)
        assert code in done.stderr
        assert "Traceback" not in done.stderr


def test_sslsniff(tmp_path: Path) -> None:
    both = certificate(tmp_path)
    options = ["--hexdump", "--max-buffer-size", "6000"]
    with (
        Script(real("python3", "python3"), TLS, "exchange()", both) as script,
        tool(b"LEN", "sslsniff", "-p", script.pid, *options) as tracer,
    ):
        script.work()
        tracer.wait_for(b"after all".hex().encode() + b"\n----- END DATA -----\n\n")
        seen = transfers(b"\n".join(tracer.stop()).decode(), script.pid)
    short = [b"message %d\n\0\xff" % number for number in range(23)]
    long = bytes(range(250)) * 40
    whole = Counter([*short * 2, long[:100], b"bye"])
    sent = [(size, data) for kind, size, data, _ in seen if kind == "WRITE/SEND"]
    got = [(size, data) for kind, size, data, _ in seen if kind == "READ/RECV"]
    assert sent[-1] == (9, b"after all")
    for some in (sent[:-1], got):
        assert Counter(data for size, data in some if size == len(data)) == whole
        assert [data for size, data in some if size != len(data)] == [long[:6000]]
    assert [cut for *_, cut in seen if cut] == ["TRUNCATED, 4000 bytes lost"] * 2


def transfers(text: str, pid: str) -> list[tuple[str, int, bytes, str]]:
    """Of what sslsniff printed: function, length, data, and what it says was cut."""
    pattern = (
        rf"(\S+) +[\d.]+ +\S+ +{pid} +(\d+) *\n-+ DATA -+\n([0-9a-f\n]*)\n-+ END DATA (.*)-----"
    )
    found = re.finditer(pattern, text)
    return [(m[1], int(m[2]), bytes.fromhex(m[3]), m[4].strip(" ()-")) for m in found]


ALLOCATIONS = """
#include <stdio.h>
#include <stdlib.h>
#define OWN __attribute__((noinline, noclone, noipa))
static void *kept[64];
OWN void **with_malloc(void **to) { *to++ = malloc(101); return to; }
OWN void **with_calloc(void **to) { *to++ = calloc(3, 11); return to; }
OWN void **with_realloc(void **to) { *to++ = realloc(malloc(10), 70001); return to; }
OWN void **with_memalign(void **to) { to += !posix_memalign(to, 64, 1009); return to; }
OWN void freed(void) { free(malloc(424242)); }
int main(void)
{
    while (getchar() != EOF) {
        void **to = kept;
        for (int i = 0; i < 7; i++) to = with_malloc(to);
        for (int i = 0; i < 5; i++) to = with_calloc(to);
        for (int i = 0; i < 3; i++) to = with_realloc(to);
        for (int i = 0; i < 2; i++) to = with_memalign(to);
        for (int i = 0; i < 23; i++) freed();
        free(kept[0]);
        putchar('k'); fflush(stdout);
    }
    return 0;
}
"""


def test_memleak_of_a_command_from_its_first_call_on(tmp_path: Path) -> None:
    source = """
        #include <stdlib.h>
        #include <unistd.h>
        static void *volatile kept;
        __attribute__((noipa)) void leak(size_t size) { kept = malloc(size); }
        __attribute__((noipa)) void drop(void) { void *volatile it = malloc(1013); free(it); }
        int main(void)
        {
            for (int i = 0; i < 23; i++) { leak(1009); drop(); leak(5003); }
            usleep(300000);
            return 0;
        }
    """
    (tmp_path / "leaky.c").write_text(source)
    program = str(tmp_path / "leaky")
    build = ["gcc", "-O1", "-fno-omit-frame-pointer", "-o", program, tmp_path / "leaky.c"]
    subprocess.run(build, check=True)
    options = ["-c", program, "-o", "0", "-z", "1000", "-Z", "5000", "1", "1"]
    done = subprocess.run(our_tool("memleak", *options), capture_output=True, text=True, check=True)
    assert "\t23207 bytes in 23 allocations from stack\n\t\t0x" in done.stdout
    assert done.stdout.count("leak+") == 1
    assert "drop+" not in done.stdout
    assert " bytes in 23 " in done.stdout.splitlines()[-4]


def test_memleak(tmp_path: Path) -> None:
    (tmp_path / "leaky.c").write_text(ALLOCATIONS)
    build = ["gcc", "-O1", "-fno-omit-frame-pointer", "-o", tmp_path / "leaky"]
    subprocess.run([*build, tmp_path / "leaky.c"], check=True)
    program = subprocess.Popen(
        [tmp_path / "leaky"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    try:
        options = ["-a", "-o", "0", "-z", "10", "-p", str(program.pid), "0.5"]
        with tool(b"Attaching", "memleak", *options) as tracer:
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(b"x")
            assert program.stdout.read(1) == b"k"
            tracer.wait_for(b"with_realloc+")
            text = b"\n".join(tracer.stop()).decode()
    finally:
        program.kill()
        program.communicate()
    last = text[text.rindex("Top 10 stacks") :]
    stacks = re.findall(r"\t(\d+) bytes in (\d+) allocations from stack\n\t\t0x\w+\t(\w+)", last)
    sizes, counts = Counter[str](), Counter[str]()
    for size, number, name in stacks:  # one for each place that calls
        sizes[name] += int(size)
        counts[name] += int(number)
    wanted = {"with_malloc": 606, "with_calloc": 165, "with_realloc": 210003, "with_memalign": 2018}
    assert {name: sizes[name] for name in wanted} == wanted
    assert [counts[name] for name in wanted] == [6, 5, 3, 2]
    assert "freed+" not in last
    assert last.count("size = 70001\n") == 3
