"""Fills a template; a hole that is missing or left over is an error of ours, not of the user's."""

from __future__ import annotations

from functools import cache
from string import Template

from bpfprobe._resources import template_root
from bpfprobe.errors import BpfprobeError


class TemplateError(BpfprobeError):
    """A template and the code that fills it do not fit together."""

    code = "TEMPLATE"


def fill(name: str, /, **holes: str) -> str:
    """The text of ``templates/NAME`` below its first comment, with every hole filled."""
    template = _template(name)
    wanted = set(template.get_identifiers())
    if wanted != set(holes):
        raise TemplateError(f"{name} has the holes {sorted(wanted)}, not {sorted(holes)}")
    return template.substitute(holes)


@cache
def _template(name: str) -> Template:
    text = (template_root() / name).read_text(encoding="ascii")
    return Template(text[text.index("*/\n") + 3 :])
