"""What the halves of an exchange look like to the IKE SA that runs them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import ExchangeType
from p4esp.ike.path import Path
from p4esp.ike.state import IkeSaState, Subject


@dataclass(frozen=True, slots=True)
class Inbound:
    """A received message whose payloads may be used: opened, or IKE_SA_INIT."""

    header: Header
    payloads: PayloadSet
    path: Path
    raw: bytes


class Verdict(Enum):
    """What a response means for its exchange."""

    DONE = auto()
    RETRY = auto()
    """Build and send again under the same message ID."""
    RETRY_LATER = auto()
    """The same, unless an answer comes within one more interval."""
    REPLACED = auto()
    """The next task in line takes its place, under the same message ID."""
    IGNORE = auto()
    """Keep waiting: this was not the answer."""


class InitiatorTask(ABC):
    """An exchange that we start."""

    exchange: ClassVar[ExchangeType]
    subject: Subject = Subject.NOTHING
    message_id: int | None = None
    """Of a request outside the window, which then has nothing but its own payloads (RFC 6311)."""
    refused_since: float | None = None
    """When the peer first answered it with TEMPORARY_FAILURE."""

    def prepare(self, sa: IkeSaState) -> bool:
        """Get ready when the exchange's turn has come; False: there is nothing to ask any more."""
        return True

    @abstractmethod
    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """Payloads of the request."""

    def is_new(self, sa: IkeSaState, reply: PayloadSet) -> bool:
        """Whether an authentic response is no replay: asked where its message ID does not tell."""
        return True

    @abstractmethod
    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Take the response in."""

    def abandon(self, sa: IkeSaState) -> None:  # noqa: B027 - most tasks hold nothing
        """Give back what the request holds: there will be no response."""


class ResponderTask(ABC):
    """An exchange that the peer starts. `Refusal` from either half becomes the error notify."""

    @abstractmethod
    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """Take the request in."""

    @abstractmethod
    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """Payloads of the response."""

    def answered(self, sa: IkeSaState) -> None:  # noqa: B027 - most tasks are done by then
        """Go on now that the response is sealed: from here on the keys may change."""
