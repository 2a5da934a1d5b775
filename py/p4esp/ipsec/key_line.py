"""Lines of the key file `p4esp_sa`, with which our Wireshark dissector decrypts every format.

A line is one direction of one SA, in words KEY=VALUE (docs/dissector.md). Nothing here runs unless
keys are asked for by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from p4esp.ipsec.diet import key_words, rules_of
from p4esp.ipsec.layouts import form_of, form_out, has_roots, is_diet, sends_whole_numbers
from p4esp.ipsec.sa import ChildSaParams, DirectionKeys, Wrap
from p4esp.ipsec.selectors import Address

HEAD = "# Keys for docs/wireshark/p4esp.lua: whoever has them reads and forges the traffic."
"""The comment that a file begins with."""


class Secret(StrEnum):
    """What the keys of an SA are."""

    KEY = "key"
    """Key and salt."""
    ROOT = "root"
    """That of the keys of its sub SAs."""
    MASTERS = "masters"
    """Two master keys of PSP, one behind the other: any SPI's key comes of them."""


@dataclass(frozen=True, slots=True)
class KeyLine:
    """What the dissector must know of an SA in one direction."""

    format: str
    spi: int
    source: Address
    destination: Address
    encryption: str
    """The keyword of the suite, as in a configuration."""
    keys: DirectionKeys
    secret: Secret = Secret.KEY
    subs: int = 1
    shown: int = 0
    """Octets, as in `Parameters.shown`."""
    esn: bool = False
    numbered: bool = True
    """Whether packets have a sequence number."""
    more: tuple[tuple[str, object], ...] = ()
    """Words that only some formats have."""

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self._words())

    def _words(self) -> Iterator[tuple[str, object]]:
        yield "format", self.format
        if self.secret is not Secret.MASTERS:
            yield "spi", f"0x{self.spi:08x}"
        yield "source", self.source
        yield "destination", self.destination
        yield from self._secrets()
        if self.subs > 1:
            yield "subs", self.subs
        if self.shown:
            yield "shown", self.shown
        if self.esn:
            yield "esn", "yes"
        if not self.numbered:
            yield "numbered", "no"
        yield from self.more

    def _secrets(self) -> Iterator[tuple[str, str]]:
        key = self.keys.key.hex()
        if self.secret is Secret.MASTERS:
            half = len(key) // 2
            yield from (("master0", key[:half]), ("master1", key[half:]))
            return
        yield "encryption", self.encryption
        yield self.secret.value, key
        if self.keys.salt:
            yield "salt", self.keys.salt.hex()


def key_lines(child: ChildSaParams) -> list[KeyLine]:
    """Inbound and outbound; none of a suite that is not AEAD, which Wireshark reads by itself."""
    if not child.suite.encryption.aead:
        return []
    layout, keymat = child.layout, child.keymat
    return [
        _line(child, False, keymat.inbound, layout.subs_in, layout.shown_in),
        _line(child, True, keymat.outbound, layout.subs_out, layout.shown_out),
    ]


def _line(
    child: ChildSaParams, outbound: bool, keys: DirectionKeys, subs: int, shown: int
) -> KeyLine:
    form = form_out(child.layout) if outbound else form_of(child.layout)
    ends = (child.local, child.remote)
    source, destination = ends if outbound else ends[::-1]
    return KeyLine(
        format=form.name if child.wrap is Wrap.NONE or form.name != "esp" else "wesp",
        spi=child.spi_out if outbound else child.spi_in,
        source=source,
        destination=destination,
        encryption=child.suite.name,
        keys=keys,
        secret=Secret.ROOT if has_roots(child.layout) else Secret.KEY,
        subs=subs,
        shown=shown,
        esn=child.esn and not sends_whole_numbers(form),
        numbered=child.layout.numbered,
        more=key_words(rules_of(child)[outbound]) if is_diet(form) else (),
    )
