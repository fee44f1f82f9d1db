"""An object in the place of SPECs, on the command line of ``bpfprobe trace``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.options import OptionError

if TYPE_CHECKING:
    import argparse

SUFFIX = ".bpfo"

_PART_OF_IT = {
    "dialect": "--dialect",
    "file": "--file",
    "name": "--name",
    "cgroup_path": "--cgroup-path",
    "kernel_stack": "--kernel-stack",
    "user_stack": "--user-stack",
    "string_size": "--string-size",
    "bin_cmp": "--bin_cmp",
    "format": "--format",
    "ebpf": "--ebpf",
    "verbose": "--verbose",
    "force": "--force",
    "transport": "--transport",
    "buffer_bytes": "--buffer-bytes",
    "buffer_pages": "--buffer-pages",
    "include": "--include",
}
"""Options that a description is made with, or that show the C: an object has neither to change."""


def object_path(args: argparse.Namespace) -> str | None:
    """The path of the object that is to be run; None where descriptions are given.

    Raises `OptionError` for an object beside something else, and for what only a description takes.
    """
    objects = [text for text in args.specs if text.endswith(SUFFIX)]
    if not objects:
        if args.trust_object:
            raise OptionError("--trust-object is for an object, and descriptions are given")
        return None
    if len(args.specs) > 1:
        raise OptionError(
            f"{objects[0]} is an object, and goes alone",
            hint="bpfprobe build takes several SPECs into one object",
        )
    given = [option for name, option in _PART_OF_IT.items() if _is_given(getattr(args, name))]
    if given:
        raise OptionError(
            f"{given[0]} is for descriptions, and {objects[0]} was built without it",
            hint="build another object, or trace the SPEC itself",
        )
    return str(objects[0])


def _is_given(value: object) -> bool:
    """Whether an option was given: None, False, no files or auto is what it is where it was not."""
    return value is not None and value is not False and value not in ([], "auto")
