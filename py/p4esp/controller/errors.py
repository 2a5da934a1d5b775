"""What can go wrong between the controller and a switch."""

from collections.abc import Sequence
from dataclasses import dataclass

from p4esp.controller.entries import Update


class ControllerError(RuntimeError):
    """Base of the errors a gateway's orchestration has to expect."""


class SwitchUnreachableError(ControllerError):
    """There is no P4Runtime connection, or it broke during the call."""


class NotPrimaryError(ControllerError):
    """Another controller is primary at this switch; the text names its election id."""


class ForeignPipelineError(ControllerError):
    """The switch runs a program whose p4info is not ours; the text says what differs."""


class StateChannelError(ControllerError):
    """A control message got no answer, or one that cannot be."""


class ControlRefusedError(StateChannelError):
    """The pipeline answered a control message with an error status."""


@dataclass(frozen=True, slots=True)
class WriteFailure:
    """One update the switch refused."""

    update: Update
    code: str
    """Canonical gRPC code name."""
    message: str

    def __str__(self) -> str:
        return f"{self.update}: {self.code}: {self.message}"


class TableWriteError(ControllerError):
    """The switch refused updates; those that are not listed were carried out."""

    def __init__(self, failures: Sequence[WriteFailure]) -> None:
        super().__init__("; ".join(map(str, failures)))
        self.failures = tuple(failures)

    @property
    def codes(self) -> frozenset[str]:
        """The codes that occur."""
        return frozenset(failure.code for failure in self.failures)
