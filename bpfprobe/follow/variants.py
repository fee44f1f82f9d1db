"""A probe in one file after another: described for each, loaded where its code is another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SessionError, SpecError
from bpfprobe.model.noun import dataclass, replace
from bpfprobe.pipeline import describe_elsewhere
from bpfprobe.plan.pinned import pinned
from bpfprobe.reviving import in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bpfprobe.attach.attachment import Attachment
    from bpfprobe.engine import Link
    from bpfprobe.model.mapping import FileKey
    from bpfprobe.model.object import Bytecode, ProbeWiring
    from bpfprobe.model.options import Options
    from bpfprobe.pipeline import Compilation
    from bpfprobe.target import Target
    from bpfprobe.target.process_files import Opened, ProcessFiles


@dataclass(frozen=True, slots=True)
class Variant:
    """A probe in a file: which of its programs go where, by descriptor."""

    index: int
    wiring: ProbeWiring
    programs: Mapping[str, int]

    @property
    def places(self) -> int:
        """How many places of the file it goes to."""
        return self.wiring.places


class Variants:
    """The probes of ``made``, which are attached by ``attachment``, in other files.

    ``programs`` are those that are loaded. ``compile_`` makes others.
    """

    def __init__(
        self,
        made: Compilation,
        attachment: Attachment,
        programs: Mapping[str, int],
        compile_: Callable[[Compilation], Sequence[Bytecode]],
        options: Options,
        target: Target,
        files: ProcessFiles,
    ) -> None:
        self._made, self._attachment, self._compile = made, attachment, compile_
        self._options, self._target, self._files = options, target, files
        self._loaded = {
            (index, made.source.text): programs for index in range(len(made.wiring.probes))
        }
        self._known: dict[tuple[int, FileKey, int], Variant] = {}

    def target(self, opened: Opened) -> Target:
        """A target on which every name of a file means that one."""
        return self._files.target(self._target, opened)

    def of(self, index: int, opened: Opened, target: Target) -> Variant:
        """The probe of that number in a file; described once for each content of the file.

        Raises `SpecError`, `TargetError`, `CompileError`, `LoadError`, and `SessionError` (code
        FOLLOW_SHAPE) where its events would be others there.
        """
        key = (index, opened.key, opened.changed_ns)
        if key not in self._known:
            made = self._described(index, target)
            wiring = made.wiring.probes[index]
            self._known[key] = Variant(index, wiring, self._programs(index, made, wiring))
        return self._known[key]

    def attach(self, variant: Variant, opened: Opened, pid: int | None) -> list[Link]:
        """At all places of the file, or at none. Raises `AttachError`, `PrivilegeError`."""
        wiring = in_process(variant.wiring, opened.path, pid)
        return self._attachment.attach_probe(variant.index, wiring, variant.programs)

    def give_up(self, index: int, links: Sequence[Link]) -> None:
        """See `Attachment.give_up`."""
        self._attachment.give_up(index, links)

    def end(self, links: Sequence[Link]) -> None:
        """See `Attachment.end`."""
        self._attachment.end(links)

    def _described(self, index: int, target: Target) -> Compilation:
        spec = self._made.specs[index]
        layout = self._made.wiring.probes[index].layout
        settled = pinned(spec, layout)
        try:
            made = describe_elsewhere(self._made, index, spec, target, self._options)
            if self._fits(made, index):
                return made
        except SpecError:
            if settled == spec:
                raise
        made = describe_elsewhere(self._made, index, settled, target, self._options)
        if not self._fits(made, index):
            raise SessionError(
                "its events would be others in this file: "
                + _difference(self._made.wiring.probes[index], made.wiring.probes[index]),
                hint="give each capture a type, or open another session for the file",
                code="FOLLOW_SHAPE",
            )
        return made

    def _fits(self, made: Compilation, index: int) -> bool:
        """Whether programs of it can use the maps that are there, and send the same events."""
        here, there = self._made.wiring, made.wiring
        return (
            there.probes[index].layout == here.probes[index].layout
            and there.probes[index].inflight_map == here.probes[index].inflight_map
            and [replace(one, initial=b"") for one in there.maps]
            == [replace(one, initial=b"") for one in here.maps]
            and made.plan.parameters == self._made.plan.parameters
        )

    def _programs(self, index: int, made: Compilation, wiring: ProbeWiring) -> Mapping[str, int]:
        key = (index, made.source.text)
        if key not in self._loaded:
            names = {wiring.program, wiring.entry_program, *(name for name, _ in wiring.more)}
            codes = [code for code in self._compile(made) if code.program.name in names]
            self._loaded[key] = self._attachment.load(codes, made.source)
        return self._loaded[key]


def _difference(here: ProbeWiring, there: ProbeWiring) -> str:
    fields = {field.name: field for field in here.layout.fields}
    other = [field.name for field in there.layout.fields if fields.get(field.name) != field]
    if other:
        return f"{', '.join(other)} would be of another kind or size"
    return "what the filter compares would take other room"
