"""What is installed: every package, the templates and the data, from each way to install it.

Wheels are built by setuptools itself, without an index, from a copy of the checkout. The programs
run under ``-S``, which leaves out .venv and the packages of the system.
"""

from __future__ import annotations

import configparser
import email
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import bpfprobe

CHECKOUT = Path(__file__).resolve().parents[1]
BUILT_FROM = ("LICENSE", "README.md", "bpfprobe", "pyproject.toml", "setup.cfg", "templates")
TEMPLATES = {
    str(path.relative_to(CHECKOUT / "templates"))
    for path in (CHECKOUT / "templates").rglob("*")
    if path.is_file()
}
DATA = {"bpfprobe/py.typed", "bpfprobe/lab/kernels.toml"}
SHOW_TEMPLATES = """
import bpfprobe, bpfprobe._resources
print(bpfprobe.__file__)
root = bpfprobe._resources.template_root()
for path in root.rglob("*.?"):
    print(path.relative_to(root), len(path.read_bytes()))
"""


def run(*arguments, cwd, **environ):
    """Run Python on its standard library alone, and give what it printed."""
    done = subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_checkout(place):
    place.mkdir()
    for name in BUILT_FROM:
        source = CHECKOUT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, place / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, place / name)
    return place


def build(source, kind):
    """Build a wheel, an editable wheel or an sdist of ``source``, and give its path."""
    output = source.with_name(f"{source.name}-{kind}")
    output.mkdir()
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(output)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (product,) = output.iterdir()
    return product


def unpack(wheel, place):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    return place


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("packaging") / "checkout")


@pytest.fixture(scope="module")
def wheel(source):
    return build(source, "wheel")


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_every_package_is_listed_and_none_that_is_not_there():
    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg")
    listed = config["options"]["packages"].split()
    files = (path.relative_to(CHECKOUT) for path in (CHECKOUT / "bpfprobe").rglob("*.py"))
    found = {".".join(file.parent.parts) for file in files}
    assert listed == sorted(found | {"bpfprobe.templates"})


def test_every_file_of_a_package_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = CHECKOUT / "bpfprobe"
    files = {path for path in package.rglob("*") if path.is_file()}
    ours = {str(path.relative_to(CHECKOUT)) for path in files if path.parent.name != "__pycache__"}
    assert ours >= DATA
    assert names == ours | {f"bpfprobe/templates/{name}" for name in TEMPLATES}


def test_sdist_makes_the_same_wheel(source, wheel, tmp_path):
    subprocess.run(["tar", "-xf", build(source, "sdist"), "-C", tmp_path], check=True)
    (unpacked,) = tmp_path.iterdir()
    again = build(unpacked, "wheel")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def expected_templates(file):
    sizes = [(name, (CHECKOUT / "templates" / name).stat().st_size) for name in TEMPLATES]
    return [str(file), *sorted(f"{name} {size}" for name, size in sizes)]


def shown(output):
    first, *rest = output.splitlines()
    return [first, *sorted(rest)]


def test_templates_are_found_in_a_bare_checkout(source):
    output = run("-c", SHOW_TEMPLATES, cwd=source)
    assert shown(output) == expected_templates(source / "bpfprobe" / "__init__.py")


def test_templates_are_found_in_an_installed_wheel(wheel, tmp_path):
    site = unpack(wheel, tmp_path / "site")
    output = run("-c", SHOW_TEMPLATES, cwd=tmp_path, PYTHONPATH=str(site))
    assert shown(output) == expected_templates(site / "bpfprobe" / "__init__.py")


def test_templates_are_found_in_an_editable_install(source, tmp_path):
    site = unpack(build(source, "editable"), tmp_path / "site")
    code = f"import site; site.addsitedir({str(site)!r})\n{SHOW_TEMPLATES}"
    output = run("-c", code, cwd=tmp_path)
    assert shown(output) == expected_templates(source / "bpfprobe" / "__init__.py")


def test_nothing_is_required_and_least_of_all_the_bcc_of_the_index(metadata):
    required = metadata.get_all("Requires-Dist", [])
    assert [line for line in required if "extra ==" not in line] == []
    assert not [line for line in required if line.lower().startswith("bcc")]


def test_metadata_says_what_it_is(metadata):
    assert metadata["Name"] == "bpfprobe"
    assert metadata["Version"] == bpfprobe.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    extras = {"arrow", "disassembly", "dwarf", "numpy", "test"}
    assert set(metadata.get_all("Provides-Extra")) == extras
    assert "Apache-2.0" in (metadata["License"], metadata["License-Expression"])


def test_the_command_is_an_entry_point(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        text = archive.read(name).decode()
    assert "bpfprobe = bpfprobe.__main__:main" in text


@pytest.mark.parametrize("module", ["bpfprobe", "bpfprobe.cli.main", "bpfprobe.testing"])
def test_importing_loads_no_library_and_no_compiler(module):
    output = run("-c", f"import sys, {module}; print(*sys.modules)", cwd=CHECKOUT)
    loaded = set(output.split())
    heavy = {"ctypes", "numpy", "pyarrow", "bcc", "elftools", "bpfprobe.engine.live"}
    assert not loaded & heavy


def test_version_needs_neither_root_nor_bcc_nor_any_library():
    code = (
        "import runpy, sys; sys.argv[1:] = ['--version'];"
        "sys.modules['ctypes'] = sys.modules['bcc'] = None;"
        "runpy.run_module('bpfprobe', run_name='__main__', alter_sys=True)"
    )
    powerless = []
    if os.geteuid() == 0:
        powerless = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run(
        [*powerless, sys.executable, "-S", "-c", code],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"bpfprobe {bpfprobe.__version__}\n", "")
    assert done.returncode == 0
