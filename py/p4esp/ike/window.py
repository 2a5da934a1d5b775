"""Message IDs, retransmission and repeated answers: a window of one each way (RFC 7296 2.1-2.4)."""

import hashlib
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from p4esp.ike.config import Retransmission

if TYPE_CHECKING:
    from p4esp.ike.codec.header import Header
    from p4esp.ike.tasks.base import InitiatorTask

MAX_MESSAGE_ID = 0xFFFFFFFF

Packets = tuple[bytes, ...]
"""A message as it travels: one datagram, or one for each of its fragments (RFC 7383)."""


@dataclass(slots=True)
class Outstanding:
    """The request that waits for its answer."""

    task: "InitiatorTask"
    message_id: int
    packets: Packets
    sent: int
    """Retransmissions so far."""
    deadline: float
    outdated: bool = False
    """Whether it is to be built anew rather than sent again."""


class RequestWindow:
    """Our requests: at most one outstanding."""

    def __init__(self, policy: Retransmission) -> None:
        self._policy = policy
        self._next_id = 0
        self.outstanding: Outstanding | None = None

    @property
    def exhausted(self) -> bool:
        """Whether no message ID is left; they never wrap."""
        return self._next_id > MAX_MESSAGE_ID

    @property
    def next_id(self) -> int:
        """Message ID of the next new request."""
        return self._next_id

    def send(self, task: "InitiatorTask", packets: Packets, now: float, fraction: float) -> None:
        """Record a new request that leaves now."""
        deadline = now + self._policy.wait(0, fraction)
        self.outstanding = Outstanding(task, self.id_for(task), packets, 0, deadline)
        if task.message_id is None:
            self._next_id += 1

    def id_for(self, task: "InitiatorTask") -> int:
        """Message ID of a new request."""
        return self._next_id if task.message_id is None else task.message_id

    def advance(self, next_id: int) -> None:
        """Use no message ID below `next_id` from now on."""
        self._next_id = max(self._next_id, next_id)

    def replace(self, packets: Packets, now: float, fraction: float) -> None:
        """Send other octets under the same message ID (IKE_SA_INIT with cookie or other KE)."""
        if self.outstanding is not None:
            self.outstanding.packets, self.outstanding.sent = packets, 0
            self.outstanding.deadline = now + self._policy.wait(0, fraction)
            self.outstanding.outdated = False

    def outdate(self, now: float, fraction: float) -> None:
        """Wait for an answer for one interval more; other octets follow then."""
        request = self.outstanding
        if request is not None:
            request.deadline = min(request.deadline, now + self._policy.wait(0, fraction))
            request.outdated = True

    def answered_by(self, header: "Header") -> Outstanding | None:
        """The outstanding request this response belongs to. Reads only."""
        request = self.outstanding
        if request is None or header.message_id != request.message_id:
            return None
        return request if header.exchange == request.task.exchange else None

    def complete(self) -> None:
        """The answer came and was accepted."""
        self.outstanding = None

    def take_back(self) -> None:
        """The outstanding request came to nothing: the next one has its message ID."""
        self.outstanding = None
        self._next_id -= 1

    def retransmit(self, now: float, fraction: float) -> Packets | None:
        """The datagrams to send again, or None when all tries are spent."""
        request = self.outstanding
        if request is None or request.sent == self._policy.tries:
            return None
        request.sent += 1
        request.deadline = now + self._policy.wait(request.sent, fraction)
        return request.packets


class Arrival(Enum):
    """How a request stands to those before it."""

    NEW = auto()
    REPEATED = auto()
    """What was answered last, or its first fragment: the same answer goes out again, whole
    (RFC 7383 2.6.1).
    """
    OUTSIDE = auto()
    """Too old, too early, or an altered copy: ignored."""


class ResponseWindow:
    """The peer's requests: only the next message ID is accepted."""

    def __init__(self) -> None:
        self._expected_id = 0
        self._digest = b""
        self.response: Packets = ()
        """The last answer."""

    def classify(self, message_id: int, data: bytes) -> Arrival:
        """Judge a request before it is authenticated. Reads only."""
        if message_id == self._expected_id:
            return Arrival.NEW
        same = _digest(data) == self._digest  # not a secret: of octets anybody can see
        return Arrival.REPEATED if same and self.is_last(message_id) else Arrival.OUTSIDE

    def is_last(self, message_id: int) -> bool:
        """Whether it is the request that was answered last."""
        return bool(self.response) and message_id == self._expected_id - 1

    @property
    def expected_id(self) -> int:
        """Message ID of the peer's next request."""
        return self._expected_id

    def expect(self, message_id: int) -> None:
        """Take no request below `message_id` from now on."""
        if message_id > self._expected_id:
            self._expected_id, self._digest, self.response = message_id, b"", ()

    def commit(self, data: bytes, response: Packets) -> None:
        """Count an authenticated request as answered; `data` is its (first) datagram."""
        self._expected_id += 1
        self._digest = _digest(data)
        self.response = response


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
