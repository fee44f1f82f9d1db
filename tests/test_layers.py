"""Who may import whom, and who may touch the machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bpfprobe"
FILES = sorted(PACKAGE.rglob("*.py"))
SHARED = {"bpfprobe.errors", "bpfprobe.model"}
ALLOWED = {
    "model": SHARED,
    "parse": {*SHARED, "bpfprobe.parse"},
    "resolve": {*SHARED, "bpfprobe.resolve", "bpfprobe.target:Target"},
    "plan": {*SHARED, "bpfprobe.plan"},
    "render": {*SHARED, "bpfprobe.render", "bpfprobe._resources"},
    "check": {*SHARED, "bpfprobe.check", "bpfprobe.target:Target"},
    "ftrace": {*SHARED, "bpfprobe.ftrace", "bpfprobe.target:Target"},
    "deliver": {*SHARED, "bpfprobe.deliver"},
    "read": {*SHARED, "bpfprobe.read", "bpfprobe.engine:RecordSource"},
    "attach": {*SHARED, "bpfprobe.attach", "bpfprobe.engine:Engine,Link,MappedValue,RecordSource"},
    "engine": {*SHARED, "bpfprobe.engine", "bpfprobe._resources", "bpfprobe.trust"},
    "store": {*SHARED, "bpfprobe.store", "bpfprobe"},
}
STANDARD_ABOVE = {
    "__future__", "collections", "contextlib", "dataclasses", "difflib", "enum", "fnmatch",
    "functools", "inspect", "itertools", "json", "operator", "re", "string", "struct", "types",
    "typing", "unicodedata",
}  # fmt: skip
TALKS_TO_C = {
    "target/demangler.py",  # libstdc++'s
    "target/libbpf_btf.py",  # a reader of BTF, no more
    "target/identities.py",  # statfs(2)
    "lab/agent/system.py",  # mount(2) and its like, in the guest
}
TOUCHES_FILES = ("target", "engine", "lab", "cli", "store")


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Every module that a file imports, with the name taken from it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            inside = ".".join(["bpfprobe", *path.relative_to(PACKAGE).parts[: -node.level]])
            module = f"{inside}.{node.module or ''}".rstrip(".") if node.level else node.module
            for alias in node.names:
                yield str(module), alias.name


def allows(rule: str, module: str, name: str) -> bool:
    place, _, names = rule.partition(":")
    if names:
        return module == place and name in names.split(",")
    return module == place or module.startswith(f"{place}.") or f"{module}.{name}" == place


@pytest.mark.parametrize("path", [p for p in FILES if package_of(p) in ALLOWED], ids=name_of)
def test_a_stage_imports_its_nouns_and_nothing_else(path: Path) -> None:
    wrong = [
        f"{module} {name}".strip()
        for module, name in imports(path)
        if module.split(".")[0] == "bpfprobe"
        and not any(allows(rule, module, name) for rule in ALLOWED[package_of(path)])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in FILES
        if package_of(p) in ("model", "parse", "resolve", "plan", "render", "ftrace", "check")
    ],
    ids=name_of,
)
def test_above_the_waterline_only_what_computes_is_imported(path: Path) -> None:
    modules = {module.split(".")[0] for module, _ in imports(path)}
    assert modules - {"bpfprobe"} <= STANDARD_ABOVE


@pytest.mark.parametrize(
    "path", [p for p in FILES if package_of(p) not in ("lab", "cli", "testing")], ids=name_of
)
def test_nouns_are_made_by_noun(path: Path) -> None:
    """Those of `dataclasses` take a start too long."""
    if name_of(path) != "model/noun.py":
        assert "dataclasses" not in {module for module, _ in imports(path)}


def opened(path: Path) -> Iterator[str]:
    """Calls by which a file reads or writes others, and paths of the kernel's."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id == "open":
            yield "open"
        is_method = isinstance(called, ast.Attribute)
        if is_method and called.attr in ("read_text", "read_bytes", "write_text", "write_bytes"):
            yield called.attr
        for argument in node.args:
            text = argument.value if isinstance(argument, ast.Constant) else ""
            if isinstance(text, str) and re.match(r"/(proc|sys)/", text):
                yield text


# What else reads: the templates of this package.
ALSO_READ = {"_resources.py", "render/template.py"}


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if package_of(p) not in TOUCHES_FILES and name_of(p) not in ALSO_READ],
    ids=name_of,
)
def test_only_the_edges_open_files(path: Path) -> None:
    assert list(opened(path)) == []


@pytest.mark.parametrize("path", [p for p in FILES if package_of(p) != "engine"], ids=name_of)
def test_only_the_engine_talks_to_libraries_of_c(path: Path) -> None:
    modules = {module.split(".")[0] for module, _ in imports(path)}
    assert "bcc" not in modules
    assert "ctypes" not in modules or name_of(path) in TALKS_TO_C


def test_the_stages_are_called_from_one_file() -> None:
    stages = {
        "bpfprobe.resolve.resolve", "bpfprobe.plan.plan", "bpfprobe.render.render",
    }  # fmt: skip
    callers = {name_of(path) for path in FILES for module, _ in imports(path) if module in stages}
    assert callers == {"pipeline.py"}


WRITES_TEXT = "output.py"
PASSES_BYTES_ON = {
    "lab/agent/child.py",  # runs in the guest, without this package
    "lab/agent/__main__.py",  # the same
    "lab/foreground.py",  # what the guest's command wrote goes to our own streams unread
}
HANDS_STREAMS_ON = {"cli/lab.py", "cli/parser.py", "lab/progress.py"}  # to `write_lines`
HARMLESS = {"flush", "fileno", "isatty", "reconfigure"}
PRINTERS = {
    "print", "input", "print_exc", "print_exception", "print_stack", "print_tb", "excepthook",
    "displayhook", "warn", "warn_explicit", "ArgumentParser",
}  # fmt: skip


def said(path: Path) -> Iterator[str]:
    """Whatever in a file writes text for people, or could."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    harmless = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in HARMLESS
    }
    harmless |= {
        id(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance"
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in PRINTERS:
                yield name
            case ast.Attribute(
                value=ast.Name(id="sys"), attr="stdout" | "stderr" | "__stdout__" | "__stderr__"
            ) if id(node) not in harmless and name_of(path) not in HANDS_STREAMS_ON:
                yield f"sys.{node.attr}"
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="os"), attr="write"),
                args=[ast.Constant(value=1 | 2), *_],
            ):
                yield "os.write"
    taken = {(module.split(".")[0], name) for module, name in imports(path)}
    yield from (m for m, _ in taken if m in ("logging", "syslog", "curses"))
    yield from (f"sys.{name}" for m, name in taken if m == "sys" and name in ("stdout", "stderr"))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_one_file_writes_text_for_people(path: Path) -> None:
    """It makes every line safe for a terminal: see bpfprobe/output.py."""
    if name_of(path) not in {WRITES_TEXT, *PASSES_BYTES_ON}:
        assert list(said(path)) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_can_be_read_at_once(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < 80, node.name


def test_importing_the_package_is_light() -> None:
    heavy = ("bcc", "numpy", "elftools", "hypothesis", "asyncio", "bpfprobe.engine.live",
             "bpfprobe.lab", "bpfprobe.target.live")  # fmt: skip
    code = f"import sys, bpfprobe; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


def test_examples_for_programs_are_shorter_than_80_lines() -> None:
    names = "bashreadline dbslower funccount gethostlatency memleak sslsniff ucalls ugc"
    folder = Path(__file__).resolve().parents[1] / "examples"
    lines = {name: (folder / f"{name}.py").read_text().count("\n") for name in names.split()}
    assert {name: count for name, count in lines.items() if count >= 80} == {}
