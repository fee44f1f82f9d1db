"""What is kept of a start, once all stages have run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.model.noun import replace
from bpfprobe.model.object import Object
from bpfprobe.model.premise import Premise, PremiseKind
from bpfprobe.model.site import KernelSite, UserSite, UserSites
from bpfprobe.store.start import Start
from bpfprobe.store.starts import option_values
from bpfprobe.target.files import Files
from bpfprobe.target.identity import switch_state, switches
from bpfprobe.target.locator import Locator
from bpfprobe.target.premises import file_premises, is_settled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.object import Bytecode
    from bpfprobe.model.options import Options
    from bpfprobe.pipeline import Compilation
    from bpfprobe.target.premises import Witness


def kept_start(
    made: Compilation,
    codes: tuple[Bytecode, ...],
    options: Options,
    compiler: str,
    witness: Witness,
    since_ns: int,
) -> Start | None:
    """A start to keep; None where it cannot be said what it depends on.

    So it is where a file has changed since ``since_ns``, when we began to look.
    """
    files = _file_premises(made, witness)
    if files is None or not witness.is_whole:
        return None
    premises = (*files, *witness.premises(), *_switches(made))
    if not all(is_settled(premise, since_ns) for premise in premises):
        return None
    handed = {name for name, _ in made.wiring.option_offsets}
    constants = tuple(pair for pair in option_values(options) if pair[0] not in handed)
    # Lines of C are for what the verifier refuses, and then all stages run again.
    plain = tuple(replace(code, lines=()) for code in codes)
    return Start(
        object=Object(made.wiring, plain),
        compiler=compiler,
        premises=premises,
        constants=constants,
        label="; ".join(str(spec) for spec in made.specs),
        release=made.plan.facts.release,
        made_s=int(time.time()),
    )


def _switches(made: Compilation) -> Iterator[Premise]:
    """That kprobes are as they were: one that is switched off is attached, and never hit."""
    sites = [site for probe in made.wiring.probes for site in (probe.site, probe.entry_site)]
    if any(isinstance(site, KernelSite) for site in sites):
        for path in switches():
            yield Premise(PremiseKind.SWITCH, path, switch_state(path))


def _file_premises(made: Compilation, witness: Witness) -> list[Premise] | None:
    """For each file that was looked into; None for one of a process that no probe is of."""
    locator = Locator(Files(Path("/")), made.plan.facts.arch)
    found: list[Premise] = []
    for (name, pid), path in witness.files.items():
        probes = [-1]
        if pid is not None:
            probes = [
                index
                for index, probe in enumerate(made.wiring.probes)
                if isinstance(probe.site, UserSite | UserSites)
                and (probe.site.path, probe.site.pid) == (path, pid)
            ]
            if not probes:
                return None
        for index in probes:
            found += file_premises(name, path, pid, index, locator)
    return found
