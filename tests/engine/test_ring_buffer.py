from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfprobe.engine.ring_buffer import RingReader
from tests.taking import Copied, take

BUSY, DISCARD = 1 << 31, 1 << 30
SIZE = 4096


class Ring:
    """A ring buffer as the kernel lays it out, in ordinary memory."""

    def __init__(self, start: int = 0) -> None:
        self.consumer = memoryview(bytearray(struct.pack("=Q", start))).cast("Q")
        self.producer = memoryview(bytearray(struct.pack("=Q", start))).cast("Q")
        self.data = Copied(2 * SIZE)
        self.reader = RingReader(
            self.consumer, self.producer, memoryview(self.data), self.data, SIZE
        )

    def put(self, payload: bytes, flags: int = 0) -> bool:
        whole = struct.pack("=II", len(payload) | flags, 0) + payload
        whole += bytes(-len(whole) % 8)
        at = self.producer[0]
        if at + len(whole) - self.consumer[0] > SIZE - 1:
            return False
        for index, byte in enumerate(whole):
            place = (at + index) % SIZE
            self.data[place] = self.data[place + SIZE] = byte
        self.producer[0] = at + len(whole)
        return True

    def set_flags(self, at: int, flags: int) -> None:
        for place in (at % SIZE, at % SIZE + SIZE):
            (header,) = struct.unpack_from("=I", self.data, place)
            struct.pack_into("=I", self.data, place, header & ~(BUSY | DISCARD) | flags)


def test_nothing_to_take() -> None:
    assert take(Ring().reader, 10) == []


def test_discarded_records_are_skipped_and_freed() -> None:
    ring = Ring()
    ring.put(b"gone", DISCARD)
    ring.put(b"kept")
    ring.put(b"gone too", DISCARD)
    assert take(ring.reader, 10) == [b"kept"]
    assert ring.consumer[0] == ring.producer[0]


def test_only_discarded_records() -> None:
    ring = Ring()
    for _ in range(5):
        ring.put(b"gone", DISCARD)
    assert take(ring.reader, 10) == []
    assert ring.consumer[0] == ring.producer[0]


def test_a_record_being_written_holds_back_those_behind_it() -> None:
    ring = Ring()
    ring.put(b"first")
    busy_at = ring.producer[0]
    ring.put(b"second", BUSY)
    ring.put(b"third")
    assert take(ring.reader, 10) == [b"first"]
    assert ring.consumer[0] == busy_at
    ring.set_flags(busy_at, 0)
    assert take(ring.reader, 10) == [b"second", b"third"]


def test_limit_leaves_the_rest_in_the_buffer() -> None:
    ring = Ring()
    for index in range(7):
        ring.put(bytes([index]))
    assert take(ring.reader, 3) == [b"\0", b"\1", b"\2"]
    assert take(ring.reader, 0) == []
    assert take(ring.reader, 100) == [b"\3", b"\4", b"\5", b"\6"]


def test_more_than_a_step_in_one_take() -> None:
    ring = Ring()
    sent = 0
    while ring.put(b""):  # 8 bytes each: more of them than the reader takes before it looks again
        sent += 1
    assert len(take(ring.reader, 1 << 30)) == sent > 500


def test_records_are_copies() -> None:
    ring = Ring()
    ring.put(b"before")
    (record,) = take(ring.reader, 1)
    ring.data[:] = bytes(len(ring.data))
    assert record == b"before"


@pytest.mark.parametrize("start", [0, SIZE - 8, SIZE - 16, (1 << 40) - 8])
def test_a_record_that_wraps_is_whole(start: int) -> None:
    ring = Ring(start // 8 * 8)
    ring.put(b"0123456789abcdef" * 3)
    assert take(ring.reader, 1) == [b"0123456789abcdef" * 3]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.binary(max_size=600), st.booleans()),
            st.integers(min_value=1, max_value=20),
        ),
        max_size=60,
    ),
    st.integers(min_value=0, max_value=SIZE // 8).map(lambda words: words * 8),
)
def test_what_goes_in_comes_out_in_order(steps: list[tuple[bytes, bool] | int], start: int) -> None:
    ring = Ring(start)
    sent: list[bytes] = []
    taken: list[bytes] = []
    for step in steps:
        if isinstance(step, int):
            got = take(ring.reader, step)
            assert len(got) <= step
            taken += got
        elif ring.put(step[0], DISCARD if step[1] else 0) and not step[1]:
            sent.append(step[0])
    taken += take(ring.reader, 1 << 20)
    assert taken == sent
    assert ring.consumer[0] == ring.producer[0]
