"""Descriptions that were parsed before and found right: an empty file stands for each."""

from __future__ import annotations

from bpfprobe.store.digest import digest
from bpfprobe.store.fingerprint import fingerprint
from bpfprobe.store.folder import folder_path, opened_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.model.description import Description

PREFIX = "known-"


def is_known(description: Description) -> bool:
    """Whether this bpfprobe has parsed the description before."""
    name = _name(description)
    if name is None:
        return False
    with opened_folder() as folder:
        return folder is not None and folder.has(name)


def remember(description: Description) -> None:
    """The description has been parsed, and is right."""
    name = _name(description)
    if name is None:
        return
    with opened_folder(make=True) as folder:
        if folder is not None:
            folder.write(name, b"")


def _name(description: Description) -> str | None:
    if folder_path() is None:
        return None
    canonical, build = description.canonical(), fingerprint()
    if canonical is None or build is None:
        return None
    return PREFIX + digest(b"known", build, canonical)
