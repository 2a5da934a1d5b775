"""The fuzz targets find nothing in a short run, and do find what is planted."""

import random
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from fuzz import ike_codec, ike_machine

from p4esp.ike.auth import proof
from p4esp.ike.codec.payloads import Nonce
from p4esp.ike.phase_clock import PhaseClock
from p4esp.ike.protection import Protection

short = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@short
@given(st.binary(max_size=300))
def test_91_the_codec_target_finds_nothing_in_random_octets(data):
    ike_codec.check(data)


@short
@given(st.sampled_from(ike_codec.seeds()), st.integers(0, 400), st.integers(0, 255))
def test_91_the_codec_target_finds_nothing_near_good_messages(seed, at, octet):
    spoiled = bytearray(seed)
    spoiled[at % len(seed)] = octet
    ike_codec.check(bytes(spoiled))


@short
@given(st.binary(min_size=20, max_size=120))
def test_91_the_machine_target_finds_nothing_in_random_lives(data):
    ike_machine.check(data)


@pytest.mark.parametrize("data", ike_machine.seeds(), ids=bytes.hex)
def test_the_seeds_run(data):
    ike_machine.check(data)


def lives(count=400):
    source = random.Random(7)
    return [source.randbytes(80) for _ in range(count)]


def finds(check, inputs):
    for data in inputs:
        try:
            check(data)
        except Exception:
            return True
    return False


def test_an_exception_of_another_type_is_found(monkeypatch):
    monkeypatch.setattr(Nonce, "parse", classmethod(lambda cls, body: cls(body[99:100] * body[0])))
    assert finds(ike_codec.check, [bytes([40]), *ike_codec.seeds()])


def test_a_machine_that_believes_any_proof_is_found(monkeypatch):
    monkeypatch.setattr(proof, "same_secret", lambda ours, theirs: True)
    assert finds(ike_machine.check, lives())


def test_an_iv_that_repeats_is_found(monkeypatch):
    monkeypatch.setattr(Protection, "_new_iv", lambda self: bytes(self._out.iv_size))
    assert finds(ike_machine.check, lives(20))


def test_an_ike_sa_that_is_never_forgotten_is_found(monkeypatch):
    monkeypatch.setattr(PhaseClock, "deadline", None)
    assert finds(ike_machine.check, lives(50))
