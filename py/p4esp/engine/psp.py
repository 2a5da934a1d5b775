"""PSP: two master keys, from which the key of each SPI is derived (docs/crypto-port.md, section 9).

A receiver keeps no key for each of its senders. It derives one from the SPI of the packet, hands
the same key out to whoever is to send with that SPI, and keeps those in use at hand.
"""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from p4esp.engine.ciphers import Key, OwnKey

MASTER_LEN: Final = 32
#: Both of them: the first for SPIs whose most significant bit is clear, the second for the others.
PAIR_LEN: Final = 2 * MASTER_LEN
MAX_SPI: Final = (1 << 32) - 1
#: Keys kept at hand for each pair.
MAX_CACHED: Final = 4096
#: Where the SPI stands in the base header, with which the AAD begins.
_SPI: Final = slice(4, 8)
_SECOND: Final = 0x80
_BLOCK: Final = 16
#: By the length of the derived key: versions 0 and 1 of PSP.
_LABELS: Final = {16: b"Pv0\0", 32: b"Pv1\0"}


class MasterPair(OwnKey):
    """Opens packets of any SPI; seals none.

    A key is kept only once a packet of its SPI was authentic: forged packets drive none out.
    """

    def __init__(self, key_len: int, pair: Key) -> None:
        super().__init__(pair)
        self._key_len = key_len
        # To take the first one out of a dict again and again takes longer and longer.
        self._by_spi: OrderedDict[bytes, AESGCM] = OrderedDict()
        self._lock = threading.Lock()
        # How often each master key was renewed.
        self._lives = [0, 0]

    def close(self) -> None:
        """Overwrite the master keys and let the derived ones go."""
        with self._lock:
            super().close()
            self._by_spi.clear()

    def renew(self, half: int, master: Key) -> None:
        """Replace the first (0) or the second (1) master key, and let go what was derived of it."""
        with self._lock:
            at = half * MASTER_LEN
            self._key[at : at + MASTER_LEN] = master
            for spi in [spi for spi in self._by_spi if _half(spi) == half]:
                del self._by_spi[spi]
            # Last: who reads the new life finds nothing of the old one, neither master nor key.
            self._lives[half] += 1

    def has(self, master: Key) -> bool:
        """Tell whether a master key is one of the two."""
        halves = (bytes(self._key[at : at + MASTER_LEN]) for at in (0, MASTER_LEN))
        return any(hmac.compare_digest(half, bytes(master)) for half in halves)

    def derive(self, spi: bytes) -> bytes:
        """Derive the key of an SPI, of 4 bytes: SP 800-108 in counter mode with AES-256-CMAC."""
        at = _half(spi) * MASTER_LEN
        master = self._key[at : at + MASTER_LEN]
        behind = _LABELS[self._key_len] + spi + (8 * self._key_len).to_bytes(4, "big")
        counters = range(1, self._key_len // _BLOCK + 1)
        try:
            key = b"".join(_cmac(master, n.to_bytes(4, "big") + behind) for n in counters)
        finally:
            master[:] = bytes(len(master))
        return self._unless_closed(key)

    def decrypt(self, nonce: Key, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the plaintext (Aead); ``nonce`` is the IV, the SPI in front of it is the AAD's."""
        spi = associated_data[_SPI]
        half = _half(spi)
        life = self._lives[half]
        kept = self._by_spi.get(spi)
        cipher = kept or AESGCM(self.derive(spi))
        try:
            plain = cipher.decrypt(spi + nonce, data, associated_data)
        except InvalidTag:
            self._unless_closed(b"")
            raise
        if kept is None:
            self._keep(spi, cipher, life)
        if self._lives[half] != life:
            # The master key was renewed meanwhile: nothing that its predecessor opens gets out.
            raise InvalidTag
        return self._unless_closed(plain)

    def encrypt(self, nonce: Key, data: bytes, associated_data: bytes, /) -> NoReturn:
        """Senders have a derived key, under which IVs are guarded (Aead)."""
        raise NotImplementedError("PSP master keys seal nothing")

    def _keep(self, spi: bytes, cipher: AESGCM, life: int) -> None:
        with self._lock:
            if self._closed or self._lives[_half(spi)] != life:
                return
            if len(self._by_spi) >= MAX_CACHED:
                self._by_spi.popitem(last=False)
            self._by_spi[spi] = cipher


def _half(spi: bytes) -> int:
    """Which master key an SPI has."""
    return int(bool(spi[0] & _SECOND))


def _cmac(key: Key, block: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(block)
    return mac.finalize()
