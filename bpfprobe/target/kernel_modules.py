"""Whether a kernel module is loaded, and what to do where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.machine import Answer
from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from bpfprobe.target.files import Files

_NAME = regex(r"[\w-]+")


def module_answer(name: str, release: str, files: Files) -> Answer:
    """Return whether the module is loaded; ``way_out`` is the command that loads it.

    What is built in has a folder in /sys/module too, but no ``initstate`` there. Lists of files
    write ``-`` where the kernel's names have ``_``.
    """
    if not _NAME.fullmatch(name):
        return Answer(False, f"{name} cannot be the name of a module")
    kernel_name = name.replace("-", "_")
    state = files.read(f"/sys/module/{kernel_name}/initstate").text
    if state == "live":
        return Answer(True, f"the module {kernel_name} is loaded")
    if state is not None:
        return Answer(False, f"the module {kernel_name} is {state}", "try again")
    folder = f"/lib/modules/{release}"
    loadable = files.read(f"{folder}/modules.dep").text
    built_in = files.read(f"{folder}/modules.builtin").text
    if loadable is None or built_in is None:
        return Answer(None, f"the module {kernel_name} is not loaded", f"modprobe {kernel_name}")
    if kernel_name in _modules(built_in):
        return Answer(False, f"{kernel_name} is built into this kernel, and not a module of it")
    if kernel_name in _modules(loadable):
        return Answer(False, f"the module {kernel_name} is not loaded", f"modprobe {kernel_name}")
    return Answer(False, f"there is no module {kernel_name} in {folder}")


def _modules(text: str) -> set[str]:
    """Return the names in a list of files, ``PATH/NAME.ko[.xz]``, with dependencies or without."""
    files = (line.partition(":")[0].rpartition("/")[2] for line in text.splitlines())
    return {file.partition(".ko")[0].replace("-", "_") for file in files}
