"""Protected messages of one IKE SA: direction, ciphers, and IVs that never repeat."""

from collections.abc import Sequence

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import Message, PayloadSet, open_message, seal_message
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.crypto.ciphers import AeadCipher, MessageCipher
from p4esp.ike.crypto.schedule import IkeKeys
from p4esp.ike.errors import IntegrityError
from p4esp.ipsec.algorithms import Suite


class Protection:
    """Seals what we send and opens what we receive (RFC 7296 3.14)."""

    def __init__(self, suite: Suite, keys: IkeKeys, initiator: bool) -> None:
        """`initiator`: whether we are the IKE SA's original initiator, who uses SK_ei."""
        ours, theirs = (keys.ei, keys.er) if initiator else (keys.er, keys.ei)
        self._out: MessageCipher = AeadCipher(suite, ours)
        self._in: MessageCipher = AeadCipher(suite, theirs)
        self._sent = 0

    def seal(self, header: Header, payloads: Sequence[AnyPayload]) -> bytes:
        """A complete message; its IV is a counter, used once under the key (RFC 5282 3.1)."""
        self._sent += 1
        iv = self._sent.to_bytes(self._out.iv_size, "big")
        return seal_message(header, payloads, self._out, iv)

    def open(self, message: Message) -> PayloadSet:
        """The payloads inside SK."""
        if message.encrypted is None:
            raise IntegrityError("message without SK payload in a protected exchange")
        return open_message(message.encrypted, self._in)
