"""Where the templates are: inside the package when installed, beside it in a checkout."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def template_root() -> Traversable:
    """The folder of templates, in a wheel, an sdist, an editable install or a bare checkout."""
    built = files("bpfprobe") / "templates"
    return built if built.is_dir() else Path(__file__).resolve().parents[1] / "templates"
