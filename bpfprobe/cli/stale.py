"""``bpfprobe doctor --stale``: events that dead tracers left, shown or taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.deliver.escape import escape
from bpfprobe.errors import TargetError
from bpfprobe.model.noun import dataclass
from bpfprobe.output import show, show_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.target.event_files import EventFiles
    from bpfprobe.target.processes import Processes
    from bpfprobe.target.stale import Verdict


@dataclass(frozen=True, slots=True)
class Treated:
    """An event with its verdict, and what was done: ``stale kept removed refused``."""

    verdict: Verdict
    outcome: str
    error: str = ""
    way_out: str = ""


def doctor_stale(
    files: EventFiles, processes: Processes, *, clean: bool, as_json: bool = False
) -> int:
    """Show the stale events, with ``clean`` take them away; the exit status.

    It is 0 where none is left. Raises what `EventFiles.defined` does, and `PrivilegeError`.
    """
    treated = list(_treat(files, processes, clean))
    total = len(files.defined())
    left = sum(one.outcome in ("stale", "refused") for one in treated)
    if as_json:
        show_json([_as_object(one) for one in treated])
    else:
        for one in treated:
            for line in _lines(one):
                show(escape(line))
        show(*_summary(treated, total))
    return 1 if left else 0


def _treat(files: EventFiles, processes: Processes, clean: bool) -> Iterator[Treated]:
    from bpfprobe.target.stale import judge

    for verdict in list(judge(files, processes)):
        if not verdict.stale:
            yield Treated(verdict, "kept")
        elif not clean:
            yield Treated(verdict, "stale")
        else:
            yield _removed(files, verdict)


def _removed(files: EventFiles, verdict: Verdict) -> Treated:
    try:
        files.remove(verdict.event)
    except TargetError as error:
        if error.code == "EVENT_GONE":  # another cleaner was faster
            return Treated(verdict, "removed", error.message)
        return Treated(verdict, "refused", f"{error.message} [{error.code}]", error.hint or "")
    return Treated(verdict, "removed")


def _lines(one: Treated) -> Iterator[str]:
    event, maker = one.verdict.event, one.verdict.event.maker
    tool = f"{maker.tool}: " if maker else ""
    hits = f", {event.hits} hits" if event.hits is not None else ""
    yield f"{one.outcome:7}  {event}  ({event.place}{hits})  {tool}{one.verdict.because}"
    if one.error:
        yield f"{'':9}{one.error}"
    if one.way_out:
        yield f"{'':9}-> {one.way_out}"


def _summary(treated: list[Treated], total: int) -> list[str]:
    counts = {
        outcome: sum(one.outcome == outcome for one in treated)
        for outcome in ("stale", "removed", "refused", "kept")
    }
    said = [f"{count} {outcome}" for outcome, count in counts.items() if count]
    others = total - counts["stale"] - counts["refused"] - counts["kept"]
    said.append(f"{others} of others, which are not touched")
    line = ", ".join(said)
    if counts["stale"]:
        return [line, "-> bpfprobe doctor --stale --clean takes the stale ones away"]
    return [line if treated else f"no stale events; {said[-1]}"]


def _as_object(one: Treated) -> dict[str, object]:
    event = one.verdict.event
    return {
        "event": str(event),
        "definition": event.line,
        "pid": event.maker.pid if event.maker else None,
        "hits": event.hits,
        "outcome": one.outcome,
        "because": one.verdict.because,
        "error": one.error or None,
    }
