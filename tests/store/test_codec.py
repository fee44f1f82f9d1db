from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfprobe.errors import ObjectError
from bpfprobe.model.object import Bytecode, Object, ProgramDef, ProgramKind
from bpfprobe.model.premise import Premise, PremiseKind
from bpfprobe.model.site import KernelSite, TracepointSite, UserSite, UserSites
from bpfprobe.plan.wiring import wire
from bpfprobe.store import container, noun_codec
from bpfprobe.store.code import Code, decode_code, encode_code
from bpfprobe.store.container import Content, sealed, unsealed
from bpfprobe.store.start import Start, decode_start, encode_start
from bpfprobe.store.wire import Reader, Writer
from tests.render.corpus import EVERYTHING
from tests.sample_machine import planned

KPROBE = ProgramKind.KPROBE
PROGRAM = Bytecode(ProgramDef("p0", KPROBE), bytes(range(16)), (3, 0))
PREMISES = tuple(
    Premise(kind, f"/a/\udcff{kind.value}", "1 2 3", kind.value % 2 - 1) for kind in PremiseKind
)


def start_of(*probes: Any, **options: Any) -> Start:
    wiring = wire(planned(*probes, **options))
    used = [
        (one.program, one.entry_program, *(name for name, _ in one.more)) for one in wiring.probes
    ]
    names = dict.fromkeys(name for each in used for name in each if name)
    made = Object(wiring, tuple(replace(PROGRAM, program=ProgramDef(n, KPROBE)) for n in names))
    return Start(made, "libbcc 1", PREMISES, (("pid", 7),), "kprobe:x", "6.1", 1234567890)


SMALL = start_of("kprobe:vfs_read count if pid == 3", pid=7)
DATA = encode_start(SMALL)


@pytest.mark.parametrize("probe", EVERYTHING, ids=str)
def test_what_is_written_is_read(probe: Any) -> None:
    for transport in ("ring", "perf"):
        start = start_of(probe, transport=transport)
        assert decode_start(encode_start(start)) == start


def test_extremes() -> None:
    sites = (
        KernelSite("f", (1 << 64) - 1, True, "m", (1 << 64) - 1),
        UserSite("/\udc80", 0, True, (1 << 22), "s", 1 << 63),  # type: ignore[arg-type]
        UserSites("/x", (0, 1 << 63), ("", "b"), "*", True, 7),  # type: ignore[arg-type]
        TracepointSite("a", "b", 0),
    )
    for site in sites:
        writer = Writer()
        noun_codec.write_noun(writer, site)
        assert noun_codec.read_noun(Reader(writer.bytes()), type(site)) == site


def test_every_field_of_every_noun_is_of_a_kind_that_can_be_written() -> None:
    known = {*noun_codec._ENUMS, *noun_codec._NOUNS, *noun_codec._UNIONS, *noun_codec._SAME_AS}
    known |= {"int", "str", "bytes", "bool"}
    for noun in noun_codec._NOUNS.values():
        names = [name for name, _ in noun_codec._fields(noun)]
        if is_dataclass(noun):
            assert names == [part.name for part in fields(noun)], noun
        else:
            assert tuple(names) == noun._fields, noun
        for _, annotation in noun_codec._fields(noun):
            inner = annotation.removesuffix(" | None")
            if inner.startswith("tuple["):
                kinds, _ = noun_codec._kinds(inner)
                assert all(k in known or noun_codec._kinds(k)[0][0] in known for k in kinds)
            else:
                assert inner in known, (noun, annotation)


def test_what_it_does_not_know_is_not_written() -> None:
    wrong = Bytecode(ProgramDef("p", ProgramKind.KPROBE), "text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a str cannot be written as bytes"):
        noun_codec.write_noun(Writer(), wrong)


def test_code() -> None:
    code = Code((PROGRAM, PROGRAM), "6.1", 5)
    assert decode_code(encode_code(code)) == code


def test_a_changed_bit_is_noticed() -> None:
    for at in range(8 * len(DATA)):
        data = bytearray(DATA)
        data[at // 8] ^= 1 << at % 8
        with pytest.raises(ObjectError):
            decode_start(bytes(data))


def test_a_file_that_was_cut_is_noticed() -> None:
    for left in range(len(DATA)):
        with pytest.raises(ObjectError):
            decode_start(DATA[:left])


def test_what_it_is_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = unsealed(Content.START, DATA)
    for content in (Content.CODE, Content.FILE):
        with pytest.raises(ObjectError, match="something else") as caught:
            decode_start(sealed(content, payload))
        assert caught.value.code == "NOT_AN_OBJECT"
    with pytest.raises(ObjectError, match="not an object of bpfprobe"):
        decode_start(b"\x7fELF" + DATA)
    monkeypatch.setattr(container, "FORM", 2)
    later = sealed(Content.START, payload)
    monkeypatch.undo()
    with pytest.raises(ObjectError, match="form 2, and this bpfprobe reads 1") as caught:
        decode_start(later)
    assert caught.value.code == "OBJECT_FORM"


PAYLOAD = unsealed(Content.START, DATA)


@given(st.data())
def test_what_somebody_else_sealed_costs_an_error_at_most(data: st.DataObject) -> None:
    """With a right seal: bytes changed, put in, cut out, and numbers made huge."""
    payload = bytearray(PAYLOAD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(payload)))
        size = data.draw(st.integers(0, 12))
        payload[at : at + size] = data.draw(
            st.one_of(
                st.binary(max_size=12),
                st.integers(-(1 << 71), (1 << 71) - 1).map(
                    lambda n: n.to_bytes(9, "little", signed=True)
                ),
            )
        )
    try:
        start = decode_start(sealed(Content.START, bytes(payload)))
    except ObjectError:
        return
    assert encode_start(start) == sealed(Content.START, bytes(payload))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(ObjectError):
        decode_start(data)
    with pytest.raises(ObjectError):
        decode_start(sealed(Content.START, data))
