"""An object whose program would kill what it traces is not loaded, whoever owns it."""

from __future__ import annotations

import os
import struct

import pytest

import bpfprobe as bp
from bpfprobe.building import build_object
from bpfprobe.errors import LoadError, ObjectError
from bpfprobe.model.noun import replace
from bpfprobe.model.options import Options
from bpfprobe.objects import read_object
from bpfprobe.starting import live_engine, live_target
from bpfprobe.store.object_file_codec import encode_object_file

pytestmark = pytest.mark.guest(kernels=["newest"], shares=True)

R1_IS_9, EXIT = bytes.fromhex("b701000009000000"), bytes.fromhex("9500000000000000")
RETURN_0 = bytes.fromhex("b700000000000000") + EXIT
SEND_SIGNAL, SEND_SIGNAL_THREAD, WRITE_USER, OVERRIDE_RETURN = 109, 117, 36, 58
AT_LEAST = 23


def calls(helper):
    return R1_IS_9 + struct.pack("<BBhi", 0x85, 0, 0, helper) + RETURN_0


def changed(path, code):
    """The object with another program in each variant, and a checksum that is right."""
    file = read_object(path, trust_object=True).file
    variants = [
        replace(one, programs=tuple(replace(c, instructions=code, lines=()) for c in one.programs))
        for one in file.variants
    ]
    path.write_bytes(encode_object_file(replace(file, variants=tuple(variants))))


def test_nothing_but_what_our_programs_call(tmp_path, monkeypatch):
    monkeypatch.setenv("BPFPROBE_CACHE", str(tmp_path / "cache"))
    path, probe = tmp_path / "x.bpfo", bp.kprobe("__x64_sys_getpgid")
    path.write_bytes(
        encode_object_file(build_object([probe], live_target(), live_engine(), Options()))
    )
    for _ in range(2):  # as it was built, it runs; the second start is a kept one
        with bp.Session.from_file(path, pid=os.getpid()) as session:
            for _ in range(AT_LEAST):
                os.getpgid(0)
            assert len(list(session.events(duration=0, last=True))) == AT_LEAST
    for helper in (SEND_SIGNAL, SEND_SIGNAL_THREAD, WRITE_USER, OVERRIDE_RETURN):
        changed(path, calls(helper))
        for owner in (0, 12345):
            os.chown(path, owner, owner)
            if owner:
                with pytest.raises(ObjectError) as caught:
                    bp.Session.from_file(path)
                assert caught.value.code == "OBJECT_OWNER"
            session = bp.Session.from_file(path, trust_object=True, pid=os.getpid())
            with pytest.raises(LoadError) as refused:
                session.open()
            assert refused.value.code == "FORBIDDEN_CALL"
            os.getpgid(0)  # which a program that was attached would not survive
        os.chown(path, 0, 0)
