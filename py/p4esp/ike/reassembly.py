"""Putting fragments of a message together (RFC 7383 2.6)."""

from dataclasses import dataclass

from p4esp.ike.codec.encrypted import Encrypted, Part
from p4esp.ike.config import Settings
from p4esp.ike.errors import FragmentError
from p4esp.ike.memory import Lease, Memory


@dataclass(slots=True)
class _Partial:
    """What has come of one message."""

    message_id: int
    total: int
    expires: float
    lease: Lease
    pieces: dict[int, bytes]
    first_inner: int = 0
    first_raw: bytes = b""
    received: int = 0

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces.values()))


@dataclass(frozen=True, slots=True)
class Reassembled:
    """The inner payloads of a message that came in fragments."""

    chain: tuple[int, bytes]
    """Type of the first payload, and octets."""
    first_raw: bytes
    """The datagram of the first fragment, by which repeats of the message are recognised."""
    size: int
    """Octets of all datagrams."""


class Reassembly:
    """Fragments of the one message that is awaited in one direction; bounded in every respect."""

    def __init__(self, settings: Settings, memory: Memory) -> None:
        """`memory` is shared by all IKE SAs."""
        self._settings = settings
        self._memory = memory
        self._partial: _Partial | None = None

    @property
    def deadline(self) -> float | None:
        """When an incomplete message is forgotten."""
        return self._partial.expires if self._partial else None

    def expire(self, now: float) -> None:
        """Forget an incomplete message whose time is up."""
        if self._partial is not None and now >= self._partial.expires:
            self._partial = None

    def forget(self, message_id: int) -> None:
        """A message came whole: what there is of it is not awaited any more."""
        if self._known(message_id) is not None:
            self._partial = None

    def check(self, message_id: int, part: Part) -> None:
        """Whether an unauthenticated fragment is worth opening; `FragmentError`: no. Reads only."""
        if part.total > self._settings.max_fragments:
            limit = self._settings.max_fragments
            raise FragmentError(f"{part}: more than {limit} fragments are not accepted")
        known = self._known(message_id)
        if known is None or part.total > known.total:
            return
        if part.total < known.total:
            raise FragmentError(f"{part}, but {known.total} were announced before")
        if part.number in known.pieces:
            raise FragmentError(f"{part} came before")

    def _known(self, message_id: int) -> _Partial | None:
        partial = self._partial
        if partial is None or partial.message_id != message_id or partial.lease.revoked:
            return None
        return partial

    def add(
        self,
        message_id: int,
        encrypted: Encrypted,
        piece: bytes,
        raw: bytes,
        now: float,
        *,
        trusted: bool,
    ) -> Reassembled | None:
        """Keep an authentic piece that `check` let pass; the message when it was the last one.

        More fragments than before mean that the sender made them smaller and starts over.
        `trusted`: whether it has proved who it is.
        """
        part = encrypted.part or Part(1, 1)
        if not self._memory.make_room(len(raw), trusted=trusted):
            raise FragmentError(f"{part}: too many fragments of all peers are waiting")
        partial = self._known(message_id)
        if partial is None or part.total > partial.total:
            partial = self._partial = self._begin(message_id, part.total, now, trusted=trusted)
        partial.lease.extend(len(raw))
        partial.pieces[part.number] = piece
        partial.received += len(raw)
        if part.number == 1:
            partial.first_inner, partial.first_raw = encrypted.first_inner, raw
        self._check_size(partial)
        return self._complete(partial)

    def _begin(self, message_id: int, total: int, now: float, *, trusted: bool) -> _Partial:
        pieces: dict[int, bytes] = {}
        lease = self._memory.lease(pieces.clear, trusted=trusted)
        return _Partial(message_id, total, now + self._settings.reassembly_timeout, lease, pieces)

    def _check_size(self, partial: _Partial) -> None:
        limit = self._settings.max_message_size
        if partial.size > limit:
            self._partial = None
            raise FragmentError(f"fragments exceed {limit} octets in all")

    def _complete(self, partial: _Partial) -> Reassembled | None:
        if len(partial.pieces) < partial.total:
            return None
        self._partial = None
        inner = b"".join(partial.pieces[number] for number in range(1, partial.total + 1))
        return Reassembled((partial.first_inner, inner), partial.first_raw, partial.received)
