"""An IKE SA as one member of a cluster hands it to another (RFC 6311): its state in a sealed form.

Child SAs themselves are the data plane's, which the members share: here are only their names, SPIs
and nonces. What was outstanding, tickets and timers stay behind.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p4esp.ike.children import ChildSa
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.config import PeerConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.crypto.schedule import IkeKeys, Nonces
from p4esp.ike.errors import CommandError
from p4esp.ike.nat import NatStatus
from p4esp.ike.path import Path, UdpAddress
from p4esp.ike.ppk import PpkMode
from p4esp.ike.proposals import ike_suite
from p4esp.ike.protection import Protection
from p4esp.ike.state import Environment, IkeSaState, Phase
from p4esp.ike.term import Term
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.sa import ChildSaParams

EXPORT_NONCE_SIZE: Final = 12
_PURPOSE: Final = b"p4esp IKE SA, version 1"
_KEYS: Final = ("d", "ai", "ar", "ei", "er", "pi", "pr")


@dataclass(frozen=True, slots=True)
class Exported:
    """An IKE SA and its place in the exchange of messages."""

    state: IkeSaState
    next_id: int
    expected_id: int


def export_state(sa: IkeSaState, next_id: int, expected_id: int) -> bytes:
    """Everything another member needs, keys in clear: for sealing only."""
    if sa.assigned.ours or sa.assigned.leases:
        raise CommandError("internal addresses cannot be handed over; accepted: an IKE SA without")
    if sa.successors or sa.predecessor is not None or sa.proposal is None:
        raise CommandError("it is being rekeyed; accepted: an IKE SA without predecessor")
    facts = {
        "peer": sa.config.name,
        "initiator": sa.initiator,
        "spis": [sa.spi_i.hex(), sa.spi_r.hex()],
        "ids": [next_id, expected_id],
        "sa": SecurityAssociation((sa.proposal,)).encode().hex(),
        "keys": [getattr(sa.secrets[1], name).hex() for name in _KEYS],
        "nonces": _nonces(sa.nonces),
        "remote_id": [sa.proven_id.type, sa.proven_id.data.hex()],
        "path": [_end(sa.path.local), _end(sa.path.remote)],
        "nat": [sa.nat.local, sa.nat.remote] if sa.nat else None,
        "mover": sa.mobility.mover,
        "mobile": sa.mobility.announced,
        "fragmentation": sa.fragmentation,
        "ppk": sa.ppk.mode,
        "method": sa.resumption.peer_method,
        "announced": _announced(sa),
        "tokens": [token.hex() for token in sa.crash.peer],
        "children": [_child(child) for child in sa.children],
    }
    return json.dumps(facts).encode()


def _announced(sa: IkeSaState) -> dict[str, Any]:
    said = sa.announced
    return {
        "own": sorted(said.own),
        "peer": sorted(said.peer),
        "experimental": [said.own_experimental, said.peer_experimental],
        "strongswan": said.strongswan,
    }


def _child(child: ChildSa) -> dict[str, Any]:
    return {
        "spi_in": child.params.spi_in,
        "name": child.config.name,
        "nonces": _nonces(child.nonces),
        "chosen": SecurityAssociation((child.chosen,)).encode().hex(),
        "methods_known": child.methods_known,
    }


def _nonces(nonces: Nonces) -> list[str]:
    return [nonces.initiator.hex(), nonces.responder.hex()]


def _end(address: UdpAddress) -> list[Any]:
    return [str(address.host), address.port]


def seal_export(content: bytes, key: bytes, nonce: bytes) -> bytes:
    """The form in which it travels between members that share a key."""
    return nonce + AESGCM(key).encrypt(nonce, content, _PURPOSE)


def open_export(sealed: bytes, key: bytes) -> bytes:
    """What `seal_export` was given; `CommandError`."""
    nonce, rest = sealed[:EXPORT_NONCE_SIZE], sealed[EXPORT_NONCE_SIZE:]
    try:
        return AESGCM(key).decrypt(nonce, rest, _PURPOSE)
    except (InvalidTag, ValueError):
        raise CommandError("no IKE SA that was sealed with this key") from None


def restore_state(
    env: Environment,
    peers: Iterable[PeerConfig],
    children: Mapping[int, ChildSaParams],
    content: bytes,
    now: float,
) -> Exported:
    """An IKE SA from what `export_state` made. `children` are those that the data plane has, by our
    inbound SPI; `CommandError` when one is missing, or the peer is not configured.
    """
    facts: dict[str, Any] = json.loads(content)
    peer = next((peer for peer in peers if peer.name == facts["peer"]), None)
    if peer is None:
        raise CommandError(f"the IKE SA is with peer {facts['peer']}; accepted: a configured one")
    spi_i, spi_r = map(bytes.fromhex, facts["spis"])
    sa = IkeSaState(env, _path(facts["path"]), now, spi_i=spi_i, spi_r=spi_r, peer=peer)
    sa.initiator, sa.phase, sa.authenticated = facts["initiator"], Phase.ESTABLISHED, True
    sa.remote_id = Identity(facts["remote_id"][0], bytes.fromhex(facts["remote_id"][1]))
    _restore_keys(sa, facts)
    _restore_agreements(sa, facts)
    for child in facts["children"]:
        sa.children.add(_restored_child(sa, child, children))
    return Exported(sa, *facts["ids"])


def _restore_keys(sa: IkeSaState, facts: dict[str, Any]) -> None:
    (sa.proposal,) = SecurityAssociation.parse(bytes.fromhex(facts["sa"])).proposals
    sa.suite = ike_suite(sa.proposal)
    sa.keys = IkeKeys(*map(bytearray.fromhex, facts["keys"]))
    sa.nonces = Nonces(*map(bytes.fromhex, facts["nonces"]))
    sa.protection = Protection(sa.suite.cipher, sa.keys, sa.initiator, sa.env.random)
    sa.protection.begin_anywhere()


def _restore_agreements(sa: IkeSaState, facts: dict[str, Any]) -> None:
    said = facts["announced"]
    sa.nat = NatStatus(*facts["nat"]) if facts["nat"] else None
    sa.mobility.mover, sa.mobility.announced = facts["mover"], facts["mobile"]
    sa.fragmentation, sa.ppk.mode = facts["fragmentation"], PpkMode(facts["ppk"])
    sa.resumption.peer_method = facts["method"]
    sa.announced.own = {NotifyType(number) for number in said["own"]}
    sa.announced.peer = {NotifyType(number) for number in said["peer"]}
    sa.announced.own_experimental, sa.announced.peer_experimental = said["experimental"]
    sa.announced.strongswan = said["strongswan"]
    sa.crash.peer = tuple(map(bytes.fromhex, facts["tokens"]))


def _restored_child(
    sa: IkeSaState, facts: dict[str, Any], children: Mapping[int, ChildSaParams]
) -> ChildSa:
    params = children.get(facts["spi_in"])
    if params is None:
        raise CommandError(f"the data plane has no child SA {facts['spi_in']:08x} of the IKE SA")
    config, fraction = sa.config.child(facts["name"]), sa.env.fraction()
    nonces = Nonces(*map(bytes.fromhex, facts["nonces"]))
    (chosen,) = SecurityAssociation.parse(bytes.fromhex(facts["chosen"])).proposals
    child = ChildSa(params, config, nonces, chosen, facts["methods_known"], fraction)
    child.term = Term.of(config.lifetime.seconds, sa.now, fraction)
    return child


def _path(facts: list[Any]) -> Path:
    return Path(*(UdpAddress(ip_address(host), port) for host, port in facts))
