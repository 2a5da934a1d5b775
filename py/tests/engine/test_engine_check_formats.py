"""The kit's cases of formats and sub keys: engines without them pass, broken ones do not."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p4esp.engine import Engine, LocalKeys, Status
from p4esp.engine import endings as endings_module
from p4esp.engine import formats as formats_module
from p4esp.engine import keystore as keystore_module
from p4esp.engine import psp as psp_module
from p4esp.engine import shape as shape_module
from p4esp.engine.check.cases import all_cases
from p4esp.engine.check.probe import LocalProbe
from p4esp.engine.check.runner import run_cases
from p4esp.engine.keyservice import EngineHealth
from p4esp.engine.keystore import KeyStore
from p4esp.engine.psp import MasterPair
from p4esp.engine.shape import Shape
from p4esp.engine.subkeys import derived

Answer = Callable[[bytes], bytes | None]


def decrypt_with_the_first_key(self: MasterPair, *parts: bytes) -> bytes:
    """One that does not look at the SPI once it has a key."""
    cipher = next(iter(self._by_spi.values()), None) or AESGCM(self.derive(parts[2][4:8]))
    self._by_spi[parts[2][4:8]] = cipher
    return cipher.decrypt(parts[2][4:8] + parts[0], *parts[1:])


async def failures(engine: Engine) -> set[str]:
    results = await run_cases(LocalKeys(engine), LocalProbe(engine.process))
    return {result.name for result in results if result.failed}


# --- engines of version 1 ------------------------------------------------------------------


class FirstVersion(LocalKeys):
    """The keys of an engine that has nothing beyond version 1."""

    async def health(self) -> EngineHealth:
        return replace(await super().health(), features=())


def of_the_first_version(engine: Engine) -> Answer:
    """What such an engine answers: BAD_DESCRIPTOR to all that version 2 added."""

    def answer(frame: bytes) -> bytes | None:
        added = len(frame) >= 46 and (
            frame[15] & 0xC0 or frame[39] != 8 or (frame[15] & 4 and not frame[15] & 2)
        )
        return bad_descriptor(frame) if added else engine.process(frame)

    return answer


def bad_descriptor(frame: bytes) -> bytes:
    status = Status.BAD_DESCRIPTOR
    return frame[:14] + bytes((frame[14] | 0x80, frame[15], status)) + frame[17:46]


async def test_engine_of_version_one_passes_and_the_features_are_said_to_be_left_out() -> None:
    engine = Engine()
    probe = LocalProbe(of_the_first_version(engine))
    results = {r.name: r for r in await run_cases(FirstVersion(engine), probe)}
    assert not any(result.failed for result in results.values())
    left_out = {name for name, result in results.items() if result.left_out}
    assert left_out == {case.name for case in all_cases() if case.features}
    assert {"open.VB", "subs.derived", "ending.no-trailer"} <= left_out
    assert results["features.others"].passed
    assert results["format.trailer-in-clear"].detail == "the engine does not offer tih, shown"


async def test_engine_that_serves_a_feature_which_it_does_not_offer_fails() -> None:
    engine = Engine()
    results = await run_cases(FirstVersion(engine), LocalProbe(engine.process))
    assert {result.name for result in results if result.failed} == {"features.others"}


# --- engines that must fail ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "attribute", "broken", "cases"),
    [
        (
            formats_module,
            "_aad_of",
            lambda job: lambda frame, _: frame[job.shape.aad_at : job.shape.aad_at + 8],
            {"open.VB", "open.VC2", "open.VD", "open.VE", "format.crypt-offset-iiv"},
        ),
        (
            Shape,
            "iv_at",
            property(lambda shape: shape.text_at - shape.iv_len),
            {"open.VC2", "open.VE", "open.VF2", "open.VG3", "nonce.shown"},
        ),
        (
            Shape,
            "iv_at",
            property(lambda shape: shape.aad_at + 8),
            {"open.VF2", "open.VG2", "open.VG3", "format.eesp-optimized"},
        ),
        (
            Shape,
            "tih_at",
            property(lambda shape: shape.text_at),
            {"open.VC2", "ending.eesp-crypt-offset"},
        ),
        (Shape, "any_number", property(lambda shape: shape.esn), {"format.subspaces", "open.VB"}),
        (
            endings_module,
            "inner_length",
            lambda nh, plain, size: size,
            {"ending.no-trailer", "ending.shown", "ending.header-in-trailer"},
        ),
        (
            keystore_module,
            "derived",
            lambda transform, root, subs: itertools.islice(
                itertools.cycle(derived(transform, root, min(subs, 256))), subs
            ),
            {"subs.many"},
        ),
        (keystore_module, "check_root", lambda *_: None, {"subs.refused"}),
        (psp_module, "_SECOND", 0, {"psp.known.PSP-AES-GCM-128", "psp.sealed.PSP-AES-GCM-256"}),
        (psp_module, "_SPI", slice(4, 6), {"open.VH1", "psp.sealed.PSP-AES-GCM-128"}),
        (
            MasterPair,
            "decrypt",
            decrypt_with_the_first_key,
            {"psp.many", "psp.sealed.PSP-AES-GCM-128"},
        ),
        (
            shape_module,
            "headers_fit",
            lambda flags, aad_off, aad_len, iv_len, ct_off: ct_off >= aad_off,
            {"descriptor.eesp-optimized", "descriptor.crypt-offset", "psp.descriptor"},
        ),
        (keystore_module, "_check_direction", lambda *_: None, {"psp.refused"}),
        (MasterPair, "renew", lambda *_: None, {"psp.renew"}),
        (MasterPair, "has", lambda *_: False, {"psp.renew.refused"}),
        (KeyStore, "derive", lambda *_: bytes(16), {"psp.derive", "psp.known.PSP-AES-GCM-128"}),
    ],
)
async def test_engine_with_one_rule_left_out_fails_the_case_of_that_rule(
    monkeypatch: pytest.MonkeyPatch, where: Any, attribute: str, broken: Any, cases: set[str]
) -> None:
    monkeypatch.setattr(where, attribute, broken)
    names = await failures(Engine())
    assert cases <= names
    assert not names & {"open.D1", "seal.D1", "seal.sizes", "stats.counters"}


class AnyBytes(bytes):
    """Equal to whatever it is compared with."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


async def test_engine_that_does_not_look_at_padding_of_zeros_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endings_module, "bytes", lambda _: AnyBytes(), raising=False)
    expected = {case.name for case in all_cases() if case.name.startswith("ending.")}
    assert await failures(Engine()) == expected - {"ending.shown"}
