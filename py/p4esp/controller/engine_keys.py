"""Keys of SA pairs in the crypto engine."""

import asyncio
from collections.abc import Iterable
from typing import Final

from p4esp.controller.sa_entries import Handles
from p4esp.controller.sa_formats import needed_features, spaces_of
from p4esp.engine.errors import EngineUnavailableError, KeyStoreError
from p4esp.engine.keyservice import KeyService
from p4esp.engine.keystore import Direction, KeySpec
from p4esp.engine.subkeys import HKDF_SHA2_256
from p4esp.ipsec import algorithms
from p4esp.ipsec.layouts import has_roots
from p4esp.ipsec.sa import DirectionKeys
from p4esp.store import SaRecord

_CIPHERS: Final = {
    algorithms.AES_GCM_16: "AES-GCM-16-{bits}",
    algorithms.AES_GCM_12: "AES-GCM-12-{bits}",
    algorithms.AES_GCM_8: "AES-GCM-8-{bits}",
    algorithms.AES_GCM_16_IIV: "AES-GCM-16-IIV-{bits}",
    algorithms.AES_GMAC: "AES-GMAC-{bits}",
    algorithms.CHACHA20_POLY1305: "CHACHA20-POLY1305",
    algorithms.CHACHA20_POLY1305_IIV: "CHACHA20-POLY1305-IIV",
    algorithms.AES_CBC: "AES-CBC-{bits}",
    algorithms.NULL: "NULL",
}
_HMACS: Final = {
    None: "",
    algorithms.HMAC_SHA2_256_128: "-HMAC-SHA2-256-128",
    algorithms.HMAC_SHA2_384_192: "-HMAC-SHA2-384-192",
    algorithms.HMAC_SHA2_512_256: "-HMAC-SHA2-512-256",
}
TRANSFORMS: Final = {
    suite.name: _CIPHERS[suite.encryption].format(bits=suite.key_bits) + _HMACS[suite.integrity]
    for suite in algorithms.SUITES.values()
    if suite.encryption in _CIPHERS and suite.integrity in _HMACS
}
"""Engine transform by suite name; weak suites have none."""

MAX_INSTALLING: Final = 32
"""Keys on their way to an engine at a time: a call's deadline includes its wait in line."""
ENGINE_ERRORS: Final = (EngineUnavailableError, KeyStoreError)
"""The engine is away, or refuses a key."""


class PairKeys:
    """Installs and discards both keys of an SA pair together."""

    def __init__(self, service: KeyService) -> None:
        self.service = service
        self._installed: set[int] = set()
        self._swept: set[int] = set()
        """What the last sweep removed; some of it may have been on its way to us."""
        self._slots = asyncio.Semaphore(MAX_INSTALLING)

    def holds(self, handles: Handles) -> bool:
        """Whether both keys are installed, as far as the last sweep knows."""
        return {handles.open, handles.seal} <= self._installed

    async def install(self, record: SaRecord) -> Handles:
        """Install both keys, or none. KeyStoreError for a format that the engine cannot seal."""
        await self._check_features(record)
        place, keymat = record.placement, record.child.keymat
        opener = (Direction.OPEN, keymat.inbound, place.generation_in, place.sa_in)
        sealer = (Direction.SEAL, keymat.outbound, place.generation_out, place.sa_out)
        open_handle = await self._install(_spec(record, *opener))
        try:
            return Handles(open_handle, await self._install(_spec(record, *sealer)))
        except Exception:
            await self._discard(open_handle)
            raise

    async def _check_features(self, record: SaRecord) -> None:
        """An engine without them would refuse each packet."""
        needed = needed_features(record.child.layout)
        missing = needed - set((await self.service.health()).features) if needed else set()
        if missing:
            raise KeyStoreError(
                f"format {record.child.layout.format} takes an engine with "
                f"{', '.join(sorted(missing))} (docs/crypto-port.md, section 9)"
            )

    async def discard(self, handles: Handles) -> None:
        """Overwrite both keys. Those of an engine that is gone, are gone."""
        for handle in (handles.seal, handles.open):
            await self._discard(handle)

    def adopt(self, pairs: Iterable[Handles]) -> None:
        """These keys are ours and no others; the next sweep removes the rest."""
        self._installed = {handle for pair in pairs for handle in (pair.open, pair.seal)}

    async def _install(self, spec: KeySpec) -> int:
        async with self._slots:
            handle = await self.service.install(spec)
        if handle not in self._swept:
            self._installed.add(handle)
        return handle

    async def _discard(self, handle: int) -> None:
        self._installed.discard(handle)
        try:
            await self.service.remove(handle)
        except ENGINE_ERRORS:
            return  # unknown or unreachable: the sweep after the next contact removes what is left

    async def sweep(self) -> None:
        """Remove keys that are not ours, and forget those of ours that the engine has lost."""
        present = {key.handle for key in (await self.service.stats()).keys}
        strays = present - self._installed
        self._installed &= present  # at once: what is installed from now on is not in `present`
        self._swept = strays
        for stray in strays:
            await self._discard(stray)


def _spec(
    record: SaRecord, direction: Direction, keys: DirectionKeys, generation: int, sa: int
) -> KeySpec:
    transform = TRANSFORMS[record.child.suite.name]
    common = (direction, transform, keys.key, keys.salt, generation, sa, keys.integrity)
    if not has_roots(record.child.layout):
        return KeySpec(*common)
    inbound, outbound = spaces_of(record.child.layout)
    subs = inbound if direction is Direction.OPEN else outbound
    return KeySpec(*common, subs=subs, kdf=HKDF_SHA2_256)
