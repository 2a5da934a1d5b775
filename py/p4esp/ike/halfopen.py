"""IKE SAs that strangers made us open: found again for repeats, counted, limited."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Self

from p4esp.ike.config import Settings
from p4esp.ike.path import Path, UdpAddress
from p4esp.ike.ratelimit import source_of


@dataclass(frozen=True, slots=True)
class InitKey:
    """What identifies an IKE_SA_INIT request: a repeat has the same octets (RFC 7296 2.1)."""

    spi_i: bytes
    remote: UdpAddress
    digest: bytes

    @classmethod
    def of(cls, spi_i: bytes, message: bytes, path: Path) -> Self:
        """The key of a request."""
        return cls(spi_i, path.remote, hashlib.sha256(message).digest())


class HalfOpen:
    """Responder IKE SAs by the request that made them; half-open until authenticated."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._spis: dict[InitKey, bytes] = {}
        self._waiting: dict[InitKey, bytes] = {}
        """Those that are not authenticated, oldest first."""
        self._sources: Counter[bytes] = Counter()
        self._proved: dict[tuple[bytes, UdpAddress], InitKey] = {}
        """Those whose request has shown a good cookie."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def needs_cookie(self) -> bool:
        """Whether a request without a cookie leaves no state any more."""
        return len(self._waiting) >= self._settings.cookie_threshold

    @property
    def full(self) -> bool:
        """Whether the limit over all sources is reached."""
        return len(self._waiting) >= self._settings.max_half_open

    @property
    def oldest(self) -> bytes | None:
        """Our SPI of the IKE SA that has been half-open for longest."""
        return next(iter(self._waiting.values()), None)

    def source_full(self, source: bytes) -> bool:
        """Whether the limit of this source is reached."""
        return self._sources[source] >= self._settings.max_half_open_per_source

    def find(self, key: InitKey) -> bytes | None:
        """Our SPI of the IKE SA that this very request made."""
        return self._spis.get(key)

    def has_proved(self, spi_i: bytes, remote: UdpAddress) -> bool:
        """Whether a request with this SPI from there has shown a good cookie."""
        return (spi_i, remote) in self._proved

    def add(self, key: InitKey, own_spi: bytes, *, proved: bool = False) -> None:
        """Count a new half-open IKE SA. `proved`: its request has shown a good cookie."""
        if proved:
            self._proved[key.spi_i, key.remote] = key
        self._spis[key] = self._waiting[key] = own_spi
        self._sources[source_of(key.remote)] += 1

    def graduate(self, key: InitKey) -> None:
        """The initiator has proved who it is; repeats of its request stay known."""
        if self._waiting.pop(key, None) is None:
            return
        source = source_of(key.remote)
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]

    def remove(self, key: InitKey) -> None:
        """The IKE SA is gone."""
        self.graduate(key)
        del self._spis[key]
        if self._proved.get((key.spi_i, key.remote)) == key:  # not a secret: of octets anybody sees
            del self._proved[key.spi_i, key.remote]
