from __future__ import annotations

import shutil
import subprocess

import pytest

from bpfprobe.lab.travel import bring_up_to_date, checkout_of, list_files

GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "init.defaultBranch=main")


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    (root / "pkg").mkdir(parents=True)
    (root / "setup.cfg").touch()
    (root / "pkg" / "__init__.py").write_text("x = 1\n")
    (root / "odd name\n.txt").write_bytes(b"\xff")
    (root / "link").symlink_to("setup.cfg")
    return root


@pytest.fixture
def git_checkout(checkout):
    (checkout / ".gitignore").write_text("__pycache__/\nbuild/\n")
    subprocess.run([*GIT, "init", "-q"], cwd=checkout, check=True)
    subprocess.run([*GIT, "add", "-A"], cwd=checkout, check=True)
    subprocess.run([*GIT, "commit", "-qm", "one"], cwd=checkout, check=True)
    return checkout


def names(checkout):
    return [file.name for file in list_files(checkout)]


def test_tracked_and_new_files_travel_and_ignored_ones_stay(git_checkout):
    (git_checkout / "build").mkdir()
    (git_checkout / "build" / "junk").touch()
    (git_checkout / "pkg" / "new.py").touch()
    (git_checkout / "setup.cfg").unlink()
    expected = [".gitignore", "link", "odd name\n.txt", "pkg/__init__.py", "pkg/new.py"]
    assert names(git_checkout) == expected


def test_without_git_what_is_plainly_not_source_stays(checkout):
    for junk in (".venv", "pkg/__pycache__", "env"):
        (checkout / junk).mkdir()
        (checkout / junk / "junk").touch()
    (checkout / "env" / "pyvenv.cfg").touch()
    assert names(checkout) == ["link", "odd name\n.txt", "pkg/__init__.py", "setup.cfg"]


def test_the_copy_follows_the_checkout(checkout, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    bring_up_to_date(copy, checkout, list_files(checkout))
    compiled = copy / "pkg" / "__pycache__"
    assert [path.name.split(".")[0] for path in compiled.iterdir()] == ["__init__"]
    assert (copy / "link").readlink().name == "setup.cfg"

    (checkout / "pkg" / "__init__.py").write_text("x = 2\n")
    (checkout / "odd name\n.txt").unlink()
    bring_up_to_date(copy, checkout, list_files(checkout))
    assert (copy / "pkg" / "__init__.py").read_text() == "x = 2\n"
    assert not (copy / "odd name\n.txt").exists()

    shutil.rmtree(checkout / "pkg")
    bring_up_to_date(copy, checkout, list_files(checkout))
    assert sorted(path.name for path in copy.iterdir()) == ["link", "setup.cfg"]


def test_a_file_may_become_a_directory_and_back(checkout, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    bring_up_to_date(copy, checkout, list_files(checkout))
    (checkout / "setup.cfg").unlink()
    (checkout / "setup.cfg").mkdir()
    (checkout / "setup.cfg" / "inner").write_text("in")
    bring_up_to_date(copy, checkout, list_files(checkout))
    assert (copy / "setup.cfg" / "inner").read_text() == "in"
    shutil.rmtree(checkout / "setup.cfg")
    (checkout / "setup.cfg").write_text("out")
    bring_up_to_date(copy, checkout, list_files(checkout))
    assert (copy / "setup.cfg").read_text() == "out"


def test_source_that_does_not_compile_travels_all_the_same(checkout, tmp_path):
    (checkout / "pkg" / "bad.py").write_text("def (:\n")
    copy = tmp_path / "copy"
    copy.mkdir()
    bring_up_to_date(copy, checkout, list_files(checkout))
    assert (copy / "pkg" / "bad.py").exists()


def test_an_installed_package_has_no_checkout(checkout, tmp_path):
    assert checkout_of(checkout / "pkg") == checkout
    assert checkout_of(tmp_path / "site-packages" / "pkg") is None
