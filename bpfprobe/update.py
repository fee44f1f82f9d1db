"""What a session compares with is changed while it runs: described again, and found to fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfprobe.errors import SessionError
from bpfprobe.model.noun import dataclass, replace
from bpfprobe.parse.filter import parse_filter_text
from bpfprobe.pipeline import describe
from bpfprobe.plan.difference import filter_difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bpfprobe.model.options import Options
    from bpfprobe.model.parameters import ParameterBlock
    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.pipeline import Compilation
    from bpfprobe.probes import Probe
    from bpfprobe.target import Target


@dataclass(frozen=True, slots=True)
class InForce:
    """What a session was asked for, with all changes up to now, and what was made of it."""

    options: Options
    target: Target
    made: Compilation

    @property
    def parameters(self) -> ParameterBlock:
        """What the programs are handed."""
        return self.made.plan.parameters


def as_opened(specs: Sequence[Probe | ProbeSpec], options: Options, target: Target) -> InForce:
    """A session that nothing was changed in yet."""
    return InForce(options, target, describe(specs, target, options))


def describe_update(
    running: InForce,
    index: int | None,
    filter_text: str | None,
    options: Mapping[str, Any],
) -> InForce:
    """Describe the session with another filter for the probe of that number, and other options.

    Raises `SpecError`, `OptionError`, `TargetError`, and `SessionError` (code UPDATE_SHAPE) where
    the programs would have to be others.
    """
    if filter_text is None and not options:
        raise SessionError(
            "nothing to update", hint="session.update(probe, filter=...), or pid=..."
        )
    if index is not None and filter_text is None:
        raise SessionError(
            f"{', '.join(options)}: for all probes of the session, and one was named",
            hint="session.update(pid=...); a filter is for one probe",
        )
    for name in options:
        if getattr(running.options, name) is None:
            raise SessionError(
                f"the session was opened without {name}, so no program looks at it",
                hint=f"Session(..., {name}=...) and then session.update({name}=...)",
                code="UPDATE_SHAPE",
            )
    specs = list(running.made.specs)
    if index is not None and filter_text is not None:
        specs[index] = replace(specs[index], filter=parse_filter_text(filter_text))
    wanted = as_opened(tuple(specs), replace(running.options, **options), running.target)
    if wanted.made.source.text != running.made.source.text:
        raise SessionError(
            f"the new filter needs other programs: {_difference(running, wanted, index or 0)}",
            hint="open another session for it",
            code="UPDATE_SHAPE",
        )
    return wanted


def _difference(running: InForce, wanted: InForce, index: int) -> str:
    one, other = (state.made.plan.probes[index].bound.filter for state in (running, wanted))
    return filter_difference(one, other) or "it needs more or less of the machine"
