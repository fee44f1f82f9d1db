"""Objects in files of their own, as they are read and run without a compiler."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfprobe.errors import ObjectError
from bpfprobe.model.noun import replace
from bpfprobe.model.options import OptionError
from bpfprobe.probes import Probe
from bpfprobe.store.digest import SEAL_BYTES, digest
from bpfprobe.store.folder import MAX_FILE_BYTES
from bpfprobe.store.object_file_codec import decode_object_file
from bpfprobe.target.files import read_regular
from bpfprobe.trust import is_trusted_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.object import Bytecode, CSource
    from bpfprobe.model.object_file import ObjectFile
    from bpfprobe.pipeline import Compilation
    from bpfprobe.target import Target

MOST_SHOWN = 5
"""How many differences an error tells of."""


class BuiltObject(NamedTuple):
    """An object as it was read from ``path``. ``origin`` is the seal of the file."""

    path: str
    file: ObjectFile
    origin: bytes

    def probes(self, pid: int | None = None) -> list[Probe]:
        """As they were described; with ``pid`` those of programs for that process alone."""
        return [Probe(replace(described, pid=pid)) for described in self.file.descriptions]

    @property
    def options(self) -> dict[str, Any]:
        """Options of a session, as they were when it was built."""
        file = self.file
        return {
            "transport": file.transport,
            "buffer_bytes": file.buffer_bytes,
            "inflight": file.inflight,
        }

    def programs_for(self, made: Compilation, target: Target) -> tuple[Bytecode, ...]:
        """The programs of what was described on this machine, ``target``.

        Raises `ObjectError` (OBJECT_DIFFERS) where the C would be other than what was compiled.
        """
        wanted = source_digest(made.source)
        for variant in self.file.variants:
            defined = tuple(code.program for code in variant.programs)
            if variant.source == wanted and defined == made.source.programs:
                _refuse_changed(variant.programs)
                return variant.programs
        raise _other_machine(self, made, target)


def _refuse_changed(programs: Sequence[Bytecode]) -> None:
    """Refuse what no compiler made of our C, but can be written into a file."""
    from bpfprobe.engine.allowed_calls import check_calls, forbidden
    from bpfprobe.engine.context_stores import writes_context

    for code in programs:
        check_calls(code.program.name, code.instructions)
        if writes_context(code.instructions):
            raise forbidden(code.program.name, "writes to the registers of what it traces")


def read_object(path: str | os.PathLike[str], *, trust_object: bool = False) -> BuiltObject:
    """A ``.bpfo`` file, which may be anybody's; for root only with ``trust_object``.

    Raises `TargetError` (NO_FILE, NOT_REGULAR, NO_ACCESS, LINK_LOOP, TOO_BIG), `ObjectError`
    (NOT_AN_OBJECT, OBJECT_FORM, DAMAGED, OBJECT_OWNER), `OptionError` for a path that is not a
    path.
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"path must be a str or a Path, not a {type(path).__name__}")
    path = os.fspath(path)
    data = read_regular(path, MAX_FILE_BYTES, None if trust_object else _refuse_others)
    try:
        return BuiltObject(path, decode_object_file(data), data[-SEAL_BYTES:])
    except ObjectError as error:
        raise ObjectError(f"{path}: {error.message}", hint=error.hint, code=error.code) from error


def _refuse_others(path: str, status: os.stat_result) -> None:
    """Root loads programs into the kernel that others can write only if it is told to."""
    if os.geteuid() != 0 or is_trusted_file(status):
        return
    owner = f"belongs to user {status.st_uid}" if status.st_uid else "can be written by others"
    raise ObjectError(
        f"{path} {owner}, and root would run its programs in the kernel",
        hint="where you would run a program of theirs: bpfprobe trace --trust-object, "
        "trust_object=True in Python",
        code="OBJECT_OWNER",
    )


def source_digest(source: CSource) -> str:
    """What tells one C text from another: the same text makes the same programs."""
    return digest(b"source", source.text.encode(), source.header.encode())


def dependencies(made: Compilation, target: Target) -> dict[str, str]:
    """What the C depends on, in words: each subject with its state on the machine."""
    from bpfprobe.check.reliances import reliances

    found = {
        "the architecture": made.plan.facts.arch,
        "the buffer": f"{made.plan.transport.name} of {made.plan.buffer_bytes} bytes",
    }
    if made.plan.namespace is not None:
        found["the pid namespace"] = "one of a container"
    for probe in made.plan.probes:
        name = probe.bound.spec.name
        found[f"{name}: the mechanism"] = f"{probe.mechanism.name} at {probe.site}"
        for each in reliances(probe.bound, target):
            is_other = found.get(each.what, each.how) != each.how
            found[f"{name}: {each.what}" if is_other else each.what] = each.how
    return found


def _other_machine(built: BuiltObject, made: Compilation, target: Target) -> ObjectError:
    file, release = built.file, made.plan.facts.release
    there, here = dict(file.depends), dependencies(made, target)
    differences = [
        f"{subject}: {state} there, {here.get(subject, 'nothing')} here"
        for subject, state in there.items()
        if here.get(subject) != state
    ]
    differences += [
        f"{subject}: nothing there, {state} here"
        for subject, state in here.items()
        if subject not in there
    ]
    if not differences:
        differences = [f"bpfprobe {file.version}, which built it, writes other C than this one"]
    more = len(differences) - MOST_SHOWN
    shown = "; ".join(differences[:MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    return ObjectError(
        f"{built.path} was built for {file.release} and cannot run on {release}: {shown}",
        hint="build it for this kernel: bpfprobe build SPEC -o FILE; elsewhere with --btf and "
        "this machine's /sys/kernel/btf/vmlinux",
        code="OBJECT_DIFFERS",
    )
