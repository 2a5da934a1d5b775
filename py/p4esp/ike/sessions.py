"""What is kept of an IKE SA so that it can be resumed (RFC 5723 5), and its form in a ticket."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from cryptography import x509

from p4esp.ike.auth.certificates import TrustedCertificates
from p4esp.ike.auth.certified import distrust
from p4esp.ike.choosing import select
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.config import PeerConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.crypto.schedule import overwrite
from p4esp.ike.errors import Refusal
from p4esp.ike.ppk import PpkMode
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.identity import NOBODY, Identity

_CARRIED: Final = frozenset((NotifyType.IKE_SA_INIT_FULL_TRANSCRIPT_AUTH,))
"""What both ends announced in IKE_SA_INIT, and do not announce again when they resume."""
MAX_ATTEMPTS: Final = 3
"""Times a ticket is presented without an answer, before the peer counts as another one."""


@dataclass(frozen=True, slots=True)
class Session:
    """An IKE SA as its end saw it: "from the ticket" in RFC 5723 5."""

    peer: str
    """Name of the peer's configuration."""
    local_id: Identity
    remote_id: Identity
    method: int
    """The AUTH method by which the peer proved its identity."""
    proposal: Proposal
    sk_d: bytearray = field(repr=False)
    ppk: PpkMode
    """How a postquantum preshared key got into SK_d: it is not mixed in again."""
    carried: frozenset[int]
    spi: bytes
    """Our SPI, by which the IKE SA is found when it is still there."""
    certificates: tuple[x509.Certificate, ...] = ()
    """The path by which the peer proved its identity, if it did so; too long for a ticket."""

    @classmethod
    def of(cls, sa: IkeSaState) -> Self:
        """That of an established IKE SA, with a copy of SK_d."""
        if sa.proposal is None:
            raise RuntimeError("an IKE SA without algorithms")
        return cls(
            sa.config.name,
            sa.config.local_id,
            sa.proven_id,
            sa.resumption.peer_method,
            sa.proposal,
            bytearray(sa.secrets[1].d),
            sa.ppk.mode,
            frozenset(kind for kind in _CARRIED if sa.announced.agreed(kind)),
            sa.own_spi,
            sa.resumption.certificates,
        )

    def objection(self, peer: PeerConfig, today: datetime) -> str | None:
        """Why it cannot be resumed under what is configured now; None: it can. A certificate may
        have expired, or been revoked, since.
        """
        checks = {
            "resumption is off": peer.extensions.resumption,
            "nobody is resumed": self.remote_id != NOBODY,
            "our identity is another": self.local_id.matches(peer.local_id),
            "the peer's identity is another": peer.remote_id.matches(self.remote_id),
            "the PPK is mandatory": self.ppk is not PpkMode.NONE
            or not (peer.ppk and peer.ppk.required),
            "its algorithms are not accepted": _is_accepted(self.proposal, peer),
        }
        fault = next((text for text, good in checks.items() if not good), None)
        return fault or self._distrust(peer, today)

    def _distrust(self, peer: PeerConfig, today: datetime) -> str | None:
        proof = peer.auth.requirement(self.method)
        if proof is None:
            return "its AUTH method is not accepted"
        if not isinstance(proof, TrustedCertificates):
            return None
        return distrust(proof, self.certificates, today) or None

    def restore(self, sa: IkeSaState) -> None:
        """Give an IKE SA what it inherits, keys apart."""
        sa.ppk.mode, sa.resumption.peer_method = self.ppk, self.method
        sa.resumption.certificates = self.certificates
        kinds = {kind for kind in _CARRIED if kind in self.carried}
        sa.announced.own |= kinds
        sa.announced.peer |= kinds

    def wipe(self) -> None:
        """Overwrite SK_d."""
        overwrite(self.sk_d)

    def encode(self) -> bytes:
        """The content of a ticket, in clear: for sealing only."""
        facts = {
            "peer": self.peer,
            "local_id": _id_facts(self.local_id),
            "remote_id": _id_facts(self.remote_id),
            "method": self.method,
            "sa": SecurityAssociation((self.proposal,)).encode().hex(),
            "sk_d": self.sk_d.hex(),
            "ppk": self.ppk,
            "carried": sorted(self.carried),
            "spi": self.spi.hex(),
        }
        return json.dumps(facts).encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """The session, from what `encode` made."""
        facts: dict[str, Any] = json.loads(content)
        (proposal,) = SecurityAssociation.parse(bytes.fromhex(facts["sa"])).proposals
        return cls(
            facts["peer"],
            _id_from(facts["local_id"]),
            _id_from(facts["remote_id"]),
            facts["method"],
            proposal,
            bytearray.fromhex(facts["sk_d"]),
            PpkMode(facts["ppk"]),
            frozenset(facts["carried"]),
            bytes.fromhex(facts["spi"]),
        )


def _is_accepted(proposal: Proposal, peer: PeerConfig) -> bool:
    try:
        return bool(select([proposal], peer.proposals))
    except Refusal:
        return False


def _id_facts(identity: Identity) -> list[Any]:
    return [identity.type, identity.data.hex()]


def _id_from(facts: list[Any]) -> Identity:
    return Identity(facts[0], bytes.fromhex(facts[1]))


@dataclass(frozen=True, slots=True)
class Kept:
    """An initiator's ticket, and the session that it stands for."""

    ticket: bytes = field(repr=False)
    expires: float
    session: Session
    attempts: int = 0
    """Times it was presented without an answer."""


class KeptSessions:
    """Those of an endpoint whose IKE SA was lost: the last one of each peer."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def keep(self, kept: Kept) -> None:
        """Keep one until it is used or has expired; the one before is forgotten."""
        self._forget(kept.session.peer)
        if kept.attempts < MAX_ATTEMPTS:
            self._kept[kept.session.peer] = kept
        else:
            kept.session.wipe()

    def take(self, peer: PeerConfig, now: float, today: datetime) -> Kept | None:
        """The one to resume with, which is then no longer kept (RFC 5723 4.3.1)."""
        kept = self._kept.get(peer.name)
        if kept is None or kept.expires <= now or kept.session.objection(peer, today) is not None:
            self._forget(peer.name)
            return None
        return self._kept.pop(peer.name)

    def _forget(self, peer: str) -> None:
        kept = self._kept.pop(peer, None)
        if kept is not None:
            kept.session.wipe()
