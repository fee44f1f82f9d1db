"""Where the templates are: inside the package when installed, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path


def template_root() -> Path:
    """The folder of templates, in a wheel, an sdist, an editable install or a bare checkout."""
    package = Path(__file__).resolve().parent
    built = package / "templates"
    return built if built.is_dir() else package.parent / "templates"
