"""Errors of the IKE daemon. Each text says what was wrong, where, and what would be accepted."""

from p4esp.ike.constants import NotifyType


class IkeError(Exception):
    """Base of every error this package raises on purpose."""


class ParseError(IkeError):
    """Octets that are not a well-formed IKE structure: the only exception out of the codec."""


class UnsupportedCriticalPayloadError(ParseError):
    """An unknown payload whose critical bit forbids skipping it (RFC 7296 2.5)."""

    def __init__(self, payload_type: int) -> None:
        super().__init__(f"payload type {payload_type} is unknown and marked critical")
        self.payload_type = payload_type


class IntegrityError(IkeError):
    """A protected message whose ICV, padding or length is wrong: dropped without an answer."""


class FragmentError(IkeError):
    """A fragment that is not used: repeated, out of bounds, or not negotiated; dropped silently."""


class KeyExchangeError(IkeError):
    """A public value that RFC 6989 or RFC 7748 tells us to refuse."""


class ProposalError(IkeError):
    """A proposal keyword that is not known, or an answer that was not offered."""


class CommandError(IkeError):
    """A command names something that does not exist, or comes too soon."""


class KeyExportError(IkeError):
    """Wireshark has no name for the algorithm whose keys were to be exported."""


class Refusal(IkeError):  # noqa: N818 - not a failure: the protocol's way to say no
    """A request that is answered with an error notify (RFC 7296 2.21)."""

    def __init__(
        self,
        notify: NotifyType,
        reason: str,
        *,
        data: bytes = b"",
        protocol: int = 0,
        spi: bytes = b"",
        fatal: bool = False,
    ) -> None:
        super().__init__(f"{notify.name}: {reason}")
        self.notify = notify
        self.reason = reason
        self.data = data
        self.protocol = protocol
        self.spi = spi
        self.fatal = fatal
        """Whether the IKE SA ends once the answer is sent."""


class AuthenticationError(Refusal):
    """The peer is not who it claims to be; the answer never says which check failed."""

    def __init__(self, reason: str) -> None:
        super().__init__(NotifyType.AUTHENTICATION_FAILED, reason, fatal=True)
