"""What every key exchange method offers (RFC 7296 3.4, RFC 9370 2.2.2).

The interface is that of a KEM: the initiator makes an object and sends its public value, the
responder answers that value, and the initiator finishes with the answer. Diffie-Hellman fits into
it, and so do methods that have no symmetric public values.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from p4esp.ike.errors import KeyExchangeError

RandomSource = Callable[[int], bytes]
"""Returns that many unpredictable octets."""


class Answered(NamedTuple):
    """The responder's side of a key exchange; not to be logged."""

    public: bytes
    """KE payload data of the answer."""
    secret: bytes
    """g^ir."""


class KeyExchangeMethod(ABC):
    """One transform of type 4 or 6..12. An object makes one exchange: keys are never reused."""

    transform_id: ClassVar[int]
    name: ClassVar[str]
    public_size: ClassVar[int]
    """Octets of the initiator's KE payload data."""
    answer_size: ClassVar[int | None] = None
    """Octets of the responder's KE payload data; None: as many as the initiator's."""

    public: bytes
    """The initiator's public value."""

    @abstractmethod
    def __init__(self, random: RandomSource) -> None:
        """Make a key pair from fresh random octets."""

    @abstractmethod
    def _shared_secret(self, answer: bytes) -> bytes:
        """g^ir for an answer of the right length; ValueError when it is not acceptable."""

    @classmethod
    @abstractmethod
    def _respond(cls, random: RandomSource, public: bytes) -> Answered:
        """The answer to a value of the right length; ValueError when it is not acceptable."""

    def shared_secret(self, answer: bytes) -> bytes:
        """g^ir, or `KeyExchangeError` for an answer that RFC 6989 or RFC 7748 refuses."""
        self._check_size(answer, self.answer_size or self.public_size)
        try:
            return self._shared_secret(answer)
        except ValueError:
            raise self._unacceptable() from None

    @classmethod
    def respond(cls, random: RandomSource, public: bytes) -> Answered:
        """Our value and g^ir, or `KeyExchangeError` for a value that is not acceptable."""
        cls._check_size(public, cls.public_size)
        try:
            return cls._respond(random, public)
        except ValueError:
            raise cls._unacceptable() from None

    @classmethod
    def _check_size(cls, value: bytes, size: int) -> None:
        if len(value) != size:
            raise KeyExchangeError(
                f"{cls.name}: public value of {len(value)} octets, must be {size}"
            )

    @classmethod
    def _unacceptable(cls) -> KeyExchangeError:
        return KeyExchangeError(f"{cls.name}: public value is not acceptable")


class DiffieHellman(KeyExchangeMethod):
    """A method whose two sides do the same."""

    @classmethod
    def _respond(cls, random: RandomSource, public: bytes) -> Answered:
        ours = cls(random)
        return Answered(ours.public, ours._shared_secret(public))
