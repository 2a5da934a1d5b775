"""From received datagrams to authentic messages: integrity first, fragments put together."""

from dataclasses import dataclass

from p4esp.ike.codec.chain import parse_chain
from p4esp.ike.codec.encrypted import Encrypted, Part
from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import Message, PayloadSet
from p4esp.ike.constants import OPENINGS
from p4esp.ike.crypto.int_auth import plain_form
from p4esp.ike.errors import FragmentError, IntegrityError
from p4esp.ike.protection import Protection
from p4esp.ike.reassembly import Reassembly
from p4esp.ike.state import IkeSaState


@dataclass(frozen=True, slots=True)
class Opened:
    """A whole message. It is authentic unless it is IKE_SA_INIT, and may yet be malformed."""

    header: Header
    raw: bytes
    """Its datagram, or that of its first fragment: repeats are recognised by it."""
    size: int
    """Octets of all its datagrams."""
    content: PayloadSet | tuple[int, bytes]
    """What is inside SK, as type of the first payload and octets; IKE_SA_INIT: its payloads."""

    def payloads(self) -> PayloadSet:
        """The payloads that count; ParseError."""
        if isinstance(self.content, PayloadSet):
            return self.content
        return PayloadSet(parse_chain(*self.content))

    def plain_form(self) -> bytes:
        """The protected message as IntAuth covers it (RFC 9242 3.3.2)."""
        if isinstance(self.content, PayloadSet):
            raise RuntimeError("IKE_SA_INIT has no protected form")
        return plain_form(self.raw, self.content[1])


class Opener:
    """Opens the messages of one IKE SA."""

    def __init__(self, state: IkeSaState) -> None:
        self._state = state
        limits, memory = state.env.settings, state.env.fragments
        self._partial = {response: Reassembly(limits, memory) for response in (False, True)}
        """Fragments of the request and of the response that are awaited."""

    @property
    def deadline(self) -> float | None:
        """When an incomplete message is forgotten."""
        times = [partial.deadline for partial in self._partial.values()]
        return min((time for time in times if time is not None), default=None)

    def expire(self, now: float) -> None:
        """Forget incomplete messages whose time is up."""
        for partial in self._partial.values():
            partial.expire(now)

    def open(self, message: Message) -> Opened | None:
        """The message, or None while fragments of it are missing.

        `IntegrityError`: not authentic; `FragmentError`: a fragment that is not used.
        """
        encrypted, raw = message.encrypted, message.raw
        if message.header.exchange in OPENINGS:
            if encrypted is not None:
                raise IntegrityError("encrypted payload in an exchange that begins an IKE SA")
            return Opened(message.header, raw, len(raw), message.clear)
        if encrypted is None:
            raise IntegrityError("message without SK payload in a protected exchange")
        if encrypted.part is not None:
            return self._gather(message, encrypted, encrypted.part)
        inner = self._protection().open_piece(encrypted)
        self._partial[message.header.response].forget(message.header.message_id)
        return Opened(message.header, raw, len(raw), (encrypted.first_inner, inner))

    def is_authentic(self, encrypted: Encrypted) -> bool:
        """Whether an SK or SKF payload is the peer's. Changes nothing."""
        try:
            self._protection().open_piece(encrypted)
        except IntegrityError:
            return False
        return True

    def _protection(self) -> Protection:
        if self._state.protection is None:
            raise IntegrityError("protected message before there are keys")
        return self._state.protection

    def _gather(self, message: Message, encrypted: Encrypted, part: Part) -> Opened | None:
        """Keep a fragment once it is authentic; nothing changes before (RFC 7383 2.6)."""
        if not self._state.fragmentation:
            raise FragmentError(f"{part}, but fragments were not negotiated")
        partial, message_id = self._partial[message.header.response], message.header.message_id
        partial.check(message_id, part)
        piece, now = self._protection().open_piece(encrypted), self._state.now
        trusted = self._state.authenticated
        whole = partial.add(message_id, encrypted, piece, message.raw, now, trusted=trusted)
        if whole is None:
            return None
        return Opened(message.header, whole.first_raw, whole.size, whole.chain)
