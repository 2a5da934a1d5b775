"""One SA pair as the store keeps it, and its form in the database."""

import ipaddress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from p4esp.ipsec.algorithms import Suite, suite_named
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.layouts import has_roots
from p4esp.ipsec.sa import (
    EVERYTHING,
    ChildSaParams,
    DirectionKeys,
    Keymat,
    Layout,
    Mode,
    Share,
    UdpEncapsulation,
    Wrap,
)
from p4esp.ipsec.selectors import Address, TrafficSelector


class SaState(StrEnum):
    """How far an SA got. After a crash only INSTALLED is beyond doubt."""

    INSTALLING = "installing"
    """Numbers are taken; the switch may know nothing, part or all of it."""
    INSTALLED = "installed"
    """Every entry was written and acknowledged."""
    DELETING = "deleting"
    """Entries are being removed; the numbers are not free before all is scrubbed."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where in the pipeline an SA pair lives: indexes, sequence spaces, replay cells."""

    sa_out: int
    sa_in: int
    generation_out: int
    generation_in: int
    space_out: int
    space_in: int
    window: int
    """Packets of the anti-replay window; 0: none."""
    cell_base: int
    cells: int
    """Replay cells from `cell_base` on, of all inbound spaces; 0 without a window."""
    spaces_in: int = 1
    """Inbound sequence spaces from `space_in` on."""
    spaces_out: int = 1
    diet_peer: int = 0
    """Number by which the pipeline knows the peer of an SA that compresses; 0: of another."""

    @property
    def cells_each(self) -> int:
        """Replay cells of one inbound space, a power of two."""
        return self.cells >> (self.spaces_in - 1).bit_length()


@dataclass(frozen=True, slots=True)
class SaRecord:
    """An SA pair of one gateway."""

    gateway: str
    state: SaState
    policy: int
    """Id of the policy whose traffic it carries."""
    child: ChildSaParams
    placement: Placement

    @property
    def identity(self) -> str:
        """Unique name: the gateway and our inbound SPI."""
        return f"{self.gateway}/{self.child.spi_in:08x}"

    def moved_to(self, state: SaState) -> "SaRecord":
        """The same SA in another state."""
        return replace(self, state=state)


def facts_of(record: SaRecord) -> dict[str, Any]:
    """All but the keys, as JSON-ready values."""
    child = record.child
    return {
        "placement": asdict(record.placement),
        "peer": child.peer,
        "name": child.name,
        "spi_out": child.spi_out,
        "suite": child.suite.name,
        "esn": child.esn,
        "mode": child.mode.value,
        "local_ts": [_selector_facts(selector) for selector in child.local_ts],
        "remote_ts": [_selector_facts(selector) for selector in child.remote_ts],
        "local": str(child.local),
        "remote": str(child.remote),
        "encapsulation": asdict(child.encapsulation) if child.encapsulation else None,
        "initiator": child.initiator,
        "local_id": [child.local_id.type, child.local_id.data.hex()],
        "remote_id": [child.remote_id.type, child.remote_id.data.hex()],
        "wrap": child.wrap.value,
        "tfc": child.tfc,
        "original": list(map(str, child.original)) if child.original else None,
        "follows": child.follows,
        "layout": asdict(child.layout),
        "share": _share_facts(child.share),
    }


def child_from(facts: dict[str, Any], spi_in: int, secret: bytes) -> ChildSaParams:
    """The parameters that `facts_of` and `secret_of` took apart."""
    encapsulation, suite = facts["encapsulation"], suite_named(facts["suite"])
    layout = Layout(**facts.get("layout", {}))
    return ChildSaParams(
        peer=facts["peer"],
        name=facts["name"],
        spi_in=spi_in,
        spi_out=facts["spi_out"],
        suite=suite,
        esn=facts["esn"],
        mode=Mode(facts["mode"]),
        keymat=_keymat(secret, suite, layout),
        local_ts=tuple(_selector(item) for item in facts["local_ts"]),
        remote_ts=tuple(_selector(item) for item in facts["remote_ts"]),
        local=ipaddress.ip_address(facts["local"]),
        remote=ipaddress.ip_address(facts["remote"]),
        encapsulation=UdpEncapsulation(**encapsulation) if encapsulation else None,
        initiator=facts["initiator"],
        local_id=_identity(facts["local_id"]),
        remote_id=_identity(facts["remote_id"]),
        wrap=Wrap(facts.get("wrap", Wrap.NONE)),
        tfc=facts.get("tfc", True),
        original=_addresses(facts.get("original")),
        follows=facts.get("follows", False),
        layout=layout,
        share=_share(facts.get("share")),
    )


def secret_of(child: ChildSaParams) -> bytes:
    """Inbound key, salt and integrity key (or the root in their place), then the outbound ones."""
    directions = (child.keymat.inbound, child.keymat.outbound)
    return b"".join(keys.key + keys.salt + keys.integrity for keys in directions)


def _keymat(secret: bytes, suite: Suite, layout: Layout) -> Keymat:
    half = len(secret) // 2
    if has_roots(layout):
        return Keymat(DirectionKeys(secret[:half], b""), DirectionKeys(secret[half:], b""))
    return Keymat(_direction(secret[:half], suite), _direction(secret[half:], suite))


def _direction(secret: bytes, suite: Suite) -> DirectionKeys:
    salt_at, integrity_at = suite.key_size, suite.cipher_size
    return DirectionKeys(secret[:salt_at], secret[salt_at:integrity_at], secret[integrity_at:])


def _selector_facts(selector: TrafficSelector) -> list[Any]:
    first, last = str(selector.first), str(selector.last)
    return [first, last, selector.protocol, selector.first_port, selector.last_port]


def _selector(facts: list[Any]) -> TrafficSelector:
    first, last, protocol, *ports = facts
    addresses = (ipaddress.ip_address(first), ipaddress.ip_address(last))
    return TrafficSelector(*addresses, protocol, *ports)


def _share_facts(share: Share) -> dict[str, Any]:
    resource = None if share.resource is None else share.resource.hex()
    return {"resource": resource, "dscps": share.dscps, "label": share.label.hex()}


def _share(facts: dict[str, Any] | None) -> Share:
    if facts is None:
        return EVERYTHING
    resource = None if facts["resource"] is None else bytes.fromhex(facts["resource"])
    return Share(resource, tuple(facts["dscps"]), bytes.fromhex(facts["label"]))


def _addresses(facts: list[str] | None) -> tuple[Address, Address] | None:
    if facts is None:
        return None
    peer, us = map(ipaddress.ip_address, facts)
    return peer, us


def _identity(facts: list[Any]) -> Identity:
    return Identity(facts[0], bytes.fromhex(facts[1]))
