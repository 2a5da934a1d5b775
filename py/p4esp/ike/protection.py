"""Protected messages of one IKE SA: direction, ciphers, and IVs that never repeat."""

from collections.abc import Sequence

from p4esp.ike.codec.chain import encode_chain
from p4esp.ike.codec.encrypted import (
    Encrypted,
    Part,
    open_encrypted,
    piece_size,
    seal,
    sealed_size,
)
from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import Message, PayloadSet, open_message, seal_message
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import PayloadType
from p4esp.ike.crypto.ciphers import message_cipher
from p4esp.ike.crypto.keyexchange import RandomSource
from p4esp.ike.crypto.schedule import IkeKeys
from p4esp.ike.errors import IntegrityError
from p4esp.ipsec.algorithms import Suite


class Protection:
    """Seals what we send and opens what we receive (RFC 7296 3.14)."""

    def __init__(self, suite: Suite, keys: IkeKeys, initiator: bool, random: RandomSource) -> None:
        """`initiator`: whether we are the IKE SA's original initiator, who uses SK_ei, SK_ai."""
        forward = message_cipher(suite, keys.ei, keys.ai)
        backward = message_cipher(suite, keys.er, keys.ar)
        self._out, self._in = (forward, backward) if initiator else (backward, forward)
        self._random = random
        self._sent = 0
        """The last IV that counts; it wraps where it does not begin with 0."""

    def seal(self, header: Header, payloads: Sequence[AnyPayload]) -> bytes:
        """A complete message."""
        return seal_message(header, payloads, self._out, self._new_iv())

    def seal_within(
        self, header: Header, payloads: Sequence[AnyPayload], limit: int
    ) -> tuple[bytes, ...]:
        """The message whole when it fits into `limit` octets, else its fragments (RFC 7383 2.5)."""
        first, inner = encode_chain(payloads)
        if sealed_size(len(inner), self._out) <= limit:
            return (seal(header, (first, inner), self._out, self._new_iv()),)
        size = piece_size(limit, self._out)
        pieces = [inner[at : at + size] for at in range(0, len(inner), size)]
        types = [first] + [PayloadType.NONE] * (len(pieces) - 1)
        return tuple(
            seal(header, chain, self._out, self._new_iv(), Part(number, len(pieces)))
            for number, chain in enumerate(zip(types, pieces, strict=True), start=1)
        )

    def _new_iv(self) -> bytes:
        """Random for CBC (RFC 7296 3.14), else a counter that never repeats (RFC 5282 3.1)."""
        if self._out.random_iv:
            return self._random(self._out.iv_size)
        self._sent = (self._sent + 1) % (1 << 8 * self._out.iv_size)
        return self._sent.to_bytes(self._out.iv_size, "big")

    def begin_anywhere(self) -> None:
        """Use IVs that another one with the same keys has not used: he counts from elsewhere."""
        self._sent = int.from_bytes(self._random(self._out.iv_size), "big")

    def open(self, message: Message) -> PayloadSet:
        """The payloads inside SK. `IntegrityError`: not authentic; `ParseError`: malformed."""
        encrypted = message.encrypted
        if encrypted is None or encrypted.part is not None:
            raise IntegrityError("message without SK payload in a protected exchange")
        return open_message(encrypted, self._in)

    def open_piece(self, encrypted: Encrypted) -> bytes:
        """The octets inside SK or SKF. `IntegrityError`: not authentic."""
        return open_encrypted(encrypted, self._in)
