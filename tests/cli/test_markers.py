from __future__ import annotations

import pytest

from bpfprobe.cli.listing import list_points
from bpfprobe.errors import TargetError
from bpfprobe.model.machine import FileOffset, UsdtLocation, UsdtMarker, VirtualAddress
from bpfprobe.testing.static_target import StaticTarget


def place(at: int, arguments: str) -> UsdtLocation:
    return UsdtLocation(VirtualAddress(at), FileOffset(at & 0xFFFF), arguments)


SOLD = UsdtMarker(
    "shop", "sold", (place(0x401100, "-4@%eax 8@16(%rsp)"), place(0x401110, "-4@$5 8@%rbx")),
    VirtualAddress(0x404010), FileOffset(0x2010),
)  # fmt: skip
OPENED = UsdtMarker("shop", "opened", (place(0x401120, ""),), VirtualAddress(0), FileOffset(0))
THROW = UsdtMarker("cxx", "throw", (place(0x401130, "8@%rdi"),), VirtualAddress(0), FileOffset(0))
GONE = TargetError("there is no file /gone", code="NO_FILE")
TARGET = StaticTarget(
    binaries={"/opt/shop": ["main"], "/lib/cxx.so": [], "/opt/plain": ["main"], "/gone": GONE},
    markers={"/opt/shop": [OPENED, SOLD], "/lib/cxx.so": [THROW]},
    processes={7: ["/opt/shop", "/lib/cxx.so", "/gone"], 8: ["/opt/plain"]},
)


@pytest.mark.parametrize(
    ("pattern", "pid", "names"),
    [
        ("usdt:/opt/shop:*", None, ["/opt/shop:shop:opened", "/opt/shop:shop:sold"]),
        ("usdt:/opt/shop", None, ["/opt/shop:shop:opened", "/opt/shop:shop:sold"]),
        ("usdt:/opt/shop:s*", None, ["/opt/shop:shop:opened", "/opt/shop:shop:sold"]),
        ("usdt:/opt/shop:sol*", None, ["/opt/shop:shop:sold"]),
        ("usdt:/opt/shop:shop:o*", 7, ["/opt/shop:shop:opened"]),
        ("usdt:*:t*", 7, ["/lib/cxx.so:cxx:throw"]),
    ],
)
def test_which_markers_fit(pattern: str, pid: int | None, names: list[str]) -> None:
    assert list(list_points(pattern, TARGET, pid=pid)) == [f"usdt:{name}" for name in names]


def test_more_with_each_v() -> None:
    assert list(list_points("usdt:/opt/shop:sold", TARGET, verbose=1)) == [
        "usdt:/opt/shop:shop:sold",
        "    2 places, 2 arguments, semaphore 0x404010",
    ]
    assert list(list_points("usdt:*", TARGET, verbose=2, pid=7)) == [
        "usdt:/lib/cxx.so:cxx:throw",
        "    1 place, 1 argument",
        "    0x401130  8@%rdi",
        "usdt:/opt/shop:shop:opened",
        "    1 place, 0 arguments",
        "    0x401120",
        "usdt:/opt/shop:shop:sold",
        "    2 places, 2 arguments, semaphore 0x404010",
        "    0x401100  -4@%eax 8@16(%rsp)",
        "    0x401110  -4@$5 8@%rbx",
    ]


@pytest.mark.parametrize(
    ("pattern", "pid", "code"),
    [
        ("usdt:*", None, "BAD_PATTERN"),
        ("usdt:/opt/shop:zzz", None, "NOTHING_FITS"),
        ("usdt:/opt/plain:*", None, "NOTHING_FITS"),
        ("usdt:*", 8, "NOTHING_FITS"),
        ("usdt:*", 9, "NO_PROCESS"),
        ("usdt:/gone:*", None, "NO_FILE"),
    ],
)
def test_nothing_is_an_error(pattern: str, pid: int | None, code: str) -> None:
    with pytest.raises(TargetError) as caught:
        list(list_points(pattern, TARGET, pid=pid))
    assert caught.value.code == code
