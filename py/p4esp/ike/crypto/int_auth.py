"""What IKE_INTERMEDIATE exchanges add to both AUTH payloads (RFC 9242 3.3)."""

from dataclasses import dataclass, field

from p4esp.ike.codec.chain import GENERIC_HEADER_SIZE
from p4esp.ike.constants import HEADER_SIZE, PayloadType
from p4esp.ike.crypto.prf import Key, Prf

_NEXT_PAYLOAD_AT, _LENGTH_AT = 16, 24
_ENCRYPTED = (PayloadType.SK, PayloadType.SKF)


@dataclass(slots=True)
class IntAuth:
    """The chain of MACs over all such exchanges so far, one for each side's messages."""

    initiator: bytes = field(default=b"", repr=False)
    """IntAuth_iN."""
    responder: bytes = field(default=b"", repr=False)
    """IntAuth_rN."""
    exchanges: int = 0

    def add_request(self, prf: Prf, sk_pi: Key, octets: bytes) -> None:
        """Take in a request, as `plain_form` gives it, under the keys the exchange began with."""
        self.initiator = prf(sk_pi, self.initiator + octets)

    def add_response(self, prf: Prf, sk_pr: Key, octets: bytes) -> None:
        """Take in the response to it, under the same keys."""
        self.responder = prf(sk_pr, self.responder + octets)
        self.exchanges += 1

    @property
    def octets(self) -> bytes:
        """IntAuth_iN | IntAuth_rN | IKE_AUTH_MID; nothing when there was no such exchange."""
        if self.exchanges == 0:
            return b""
        auth_message_id = self.exchanges + 1
        return self.initiator + self.responder + auth_message_id.to_bytes(4, "big")


def plain_form(message: bytes, inner: bytes) -> bytes:
    """A | P: a protected message as if it had been sent whole, in clear, without padding.

    `message` is its datagram or that of its first fragment, `inner` all payloads within SK.
    """
    kind_at, at = _NEXT_PAYLOAD_AT, HEADER_SIZE
    while message[kind_at] not in _ENCRYPTED:
        kind_at, at = at, at + int.from_bytes(message[at + 2 : at + 4], "big")
    head = bytearray(message[: at + GENERIC_HEADER_SIZE])
    head[kind_at] = PayloadType.SK
    head[_LENGTH_AT:HEADER_SIZE] = (len(head) + len(inner)).to_bytes(4, "big")
    head[at + 2 :] = (GENERIC_HEADER_SIZE + len(inner)).to_bytes(2, "big")
    return bytes(head) + inner
