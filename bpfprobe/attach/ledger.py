"""What the programs of a session have counted, and what of it is a miss."""

from __future__ import annotations

import struct

from bpfprobe.model.noun import dataclass
from bpfprobe.model.object import COUNTERS, COUNTERS_MAP, INFLIGHT_KEY_BYTES
from bpfprobe.model.site import KernelSite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfprobe.engine import Engine
    from bpfprobe.model.object import Wiring

_ATTEMPTS = 20
"""To look at all calls that are open without one of them returning meanwhile."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one probe counted in the kernel, summed over CPUs.

    ``missed`` are hits for which the kernel ran no program, ``in_flight`` calls not yet returned.
    ``is_hit`` says whether any hit is known of: of a return probe also one that the filter refused.
    """

    produced: int
    lost: int
    unmatched: int
    missed: int
    in_flight: int
    is_hit: bool


class Ledger:
    """Reads the counters of the probes of a wiring, in maps of these descriptors."""

    def __init__(
        self,
        wiring: Wiring,
        engine: Engine,
        map_fds: Sequence[int],
        is_inside: Callable[[int, str], bool | None],
    ) -> None:
        self._wiring, self._engine, self._map_fds = wiring, engine, map_fds
        self._is_inside = is_inside

    def is_paired(self, probe: int) -> bool:
        """Whether it has a program on entry, and so counts calls that are open."""
        return self._wiring.probes[probe].entry_site is not None

    def tally(self, probe: int, missed: int | None, *, ended: bool = False) -> Tally:
        """The counts of the probe of that number.

        ``missed`` are its misses, None where the kernel does not say: then they are the calls that
        are open and whose thread is not in the function. While programs run, that is a lower bound:
        calls return between one look and the next. Once counting has ended it is exact.
        """
        counts = self._counters(probe)
        inside = moved = 0
        if self._looks(probe, missed):
            for _ in range(_ATTEMPTS if ended else 1):
                inside = self._inside(probe)
                before, counts = counts, self._counters(probe)
                moved = self._returned(counts) - self._returned(before)
                if not moved:
                    break
        return self._made(probe, counts, missed, inside, moved)

    def _looks(self, probe: int, missed: int | None) -> bool:
        """Whether only the threads of open calls tell what was missed."""
        return missed is None and self.is_paired(probe)

    def _made(
        self, probe: int, counts: dict[str, int], known: int | None, inside: int, moved: int
    ) -> Tally:
        missed, in_flight = known or 0, 0
        if self.is_paired(probe):
            full = counts["inflight_full"]
            open_calls = counts["entries"] - self._returned(counts)
            if known is None:
                missed = max(0, open_calls - inside - full - moved)
                in_flight = inside
            else:
                missed = min(known, max(0, open_calls))
                in_flight = max(0, open_calls - missed)
            missed += full
            in_flight += counts["after_end"]
        return Tally(
            produced=counts["produced"],
            lost=counts["lost"],
            unmatched=counts["unmatched"],
            missed=missed,
            in_flight=in_flight,
            is_hit=any((counts["produced"], counts["entries"], counts["unmatched"], missed)),
        )

    def _returned(self, counts: dict[str, int]) -> int:
        """Calls that were remembered on entry, and have returned."""
        return counts["produced"] + counts["refused"] + counts["after_end"]

    def _counters(self, probe: int) -> dict[str, int]:
        size = 8 * len(COUNTERS)
        totals = dict.fromkeys(COUNTERS, 0)
        for value in self._engine.read_percpu(self._map_fds[COUNTERS_MAP], probe, size):
            for name, number in zip(
                COUNTERS, struct.unpack(f"<{len(COUNTERS)}Q", value), strict=True
            ):
                totals[name] += number
        return totals

    def _inside(self, probe: int) -> int:
        """Remembered calls whose thread is in the function now, or may be."""
        wired = self._wiring.probes[probe]
        names = [site.function if isinstance(site, KernelSite) else "" for site in wired.entries]
        inside = 0
        for key in self._engine.keys(self._map_fds[wired.inflight_map], INFLIGHT_KEY_BYTES):
            thread = struct.unpack_from("<I", key)[0]
            inside += any(self._is_inside(thread, name) is not False for name in names)
        return inside
