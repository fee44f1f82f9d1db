"""An object in the place of SPECs, on the command line of ``bpfprobe trace``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.options import OptionError

if TYPE_CHECKING:
    import argparse

SUFFIX = ".bpfo"

_PART_OF_IT = {
    "name": "--name",
    "kernel_stack": "--kernel-stack",
    "user_stack": "--user-stack",
    "string_size": "--string-size",
    "bin_cmp": "--bin_cmp",
    "format": "--format",
    "ebpf": "--ebpf",
    "verbose": "--verbose",
}
"""Options that a description is made with, or that show the C: an object has neither to change."""


def object_path(args: argparse.Namespace) -> str | None:
    """The path of the object that is to be run; None where descriptions are given.

    Raises `OptionError` for an object beside something else, and for what only a description takes.
    """
    objects = [text for text in args.specs if text.endswith(SUFFIX)]
    if not objects:
        return None
    if len(args.specs) > 1:
        raise OptionError(
            f"{objects[0]} is an object, and goes alone",
            hint="bpfprobe build takes several SPECs into one object",
        )
    given = [option for name, option in _PART_OF_IT.items() if getattr(args, name)]
    if given or args.dialect != "auto":
        raise OptionError(
            f"{(given or ['--dialect'])[0]} is for descriptions, and {objects[0]} was built "
            "without it",
            hint="build another object, or trace the SPEC itself",
        )
    return str(objects[0])
