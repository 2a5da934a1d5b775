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


@dataclass(slots=True)
class Outstanding:
    """The request that waits for its answer."""

    task: "InitiatorTask"
    message_id: int
    data: bytes
    sent: int
    """Retransmissions so far."""
    deadline: float


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

    def send(self, task: "InitiatorTask", data: bytes, now: float, fraction: float) -> None:
        """Record a new request that leaves now."""
        deadline = now + self._policy.wait(0, fraction)
        self.outstanding = Outstanding(task, self._next_id, data, 0, deadline)
        self._next_id += 1

    def replace(self, data: bytes, now: float, fraction: float) -> None:
        """Send other octets under the same message ID (IKE_SA_INIT with cookie or other KE)."""
        if self.outstanding is not None:
            self.outstanding.data, self.outstanding.sent = data, 0
            self.outstanding.deadline = now + self._policy.wait(0, fraction)

    def answered_by(self, header: "Header") -> Outstanding | None:
        """The outstanding request this response belongs to. Reads only."""
        request = self.outstanding
        if request is None or header.message_id != request.message_id:
            return None
        return request if header.exchange == request.task.exchange else None

    def complete(self) -> None:
        """The answer came and was accepted."""
        self.outstanding = None

    def retransmit(self, now: float, fraction: float) -> bytes | None:
        """The octets to send again, or None when all tries are spent."""
        request = self.outstanding
        if request is None or request.sent == self._policy.tries:
            return None
        request.sent += 1
        request.deadline = now + self._policy.wait(request.sent, fraction)
        return request.data


class Arrival(Enum):
    """How a request stands to those before it."""

    NEW = auto()
    REPEATED = auto()
    """The very octets that were answered last: the same answer goes out again."""
    OUTSIDE = auto()
    """Too old, too early, or an altered copy: ignored."""


class ResponseWindow:
    """The peer's requests: only the next message ID is accepted."""

    def __init__(self) -> None:
        self._expected_id = 0
        self._digest = b""
        self.response = b""
        """The last answer."""

    def classify(self, message_id: int, data: bytes) -> Arrival:
        """Judge a request before it is authenticated. Reads only."""
        if message_id == self._expected_id:
            return Arrival.NEW
        repeated = message_id == self._expected_id - 1 and _digest(data) == self._digest
        return Arrival.REPEATED if repeated else Arrival.OUTSIDE

    def commit(self, data: bytes, response: bytes) -> None:
        """Count an authenticated request as answered."""
        self._expected_id += 1
        self._digest = _digest(data)
        self.response = response


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
