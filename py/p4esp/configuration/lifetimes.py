"""How long SAs live, as a file says it: a soft value that rekeys, a hard one that ends."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from p4esp.configuration.sections import Section
from p4esp.ike.config import Lifetime, Limit

HARD: float = 1.1
"""A hard limit that is not given is so many times the soft one."""


def limit(rekey: float, life: float) -> Limit | None:
    """The limit for a pair of values, of which 0 stands for none."""
    if not rekey:
        if life:
            raise ValueError("a life_ value goes with a rekey_ value below it; accepted: both")
        return None
    return Limit(rekey, life or rekey * HARD)


class ChildLifetime(Section):
    """The lifetime of a child SA."""

    rekey_time: float = Field(default=3600, ge=0)
    """Seconds after which it is rekeyed, up to a tenth earlier at random; 0: never."""
    life_time: float = Field(default=0, ge=0)
    """Seconds after which it is deleted if it could not be rekeyed; 0: a tenth later."""
    rekey_bytes: int = Field(default=0, ge=0)
    """Octets, in the busier direction, after which it is rekeyed; 0: never."""
    life_bytes: int = Field(default=0, ge=0)
    """Octets after which it is deleted; 0: a tenth more."""
    rekey_packets: int = Field(default=0, ge=0)
    """Packets, in the busier direction, after which it is rekeyed; 0: never."""
    life_packets: int = Field(default=0, ge=0)
    """Packets after which it is deleted; 0: a tenth more."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self.of_child()
        return self

    def of_child(self) -> Lifetime:
        """The form the IKE core takes; ValueError for limits that make no sense."""
        return Lifetime(
            limit(self.rekey_time, self.life_time),
            limit(self.rekey_bytes, self.life_bytes),
            limit(self.rekey_packets, self.life_packets),
        )


class IkeLifetime(Section):
    """The lifetime of an IKE SA."""

    rekey_time: float = Field(default=14400, ge=0)
    """Seconds after which it is rekeyed, up to a tenth earlier at random; 0: never."""
    life_time: float = Field(default=0, ge=0)
    """Seconds after which it is deleted if it could not be rekeyed; 0: a tenth later."""
    reauth_time: float = 0
    """Not supported: a value other than 0 is refused."""

    @field_validator("reauth_time")
    @classmethod
    def _is_not_supported(cls, seconds: float) -> float:
        if seconds:
            raise ValueError("reauthentication is not supported; accepted: 0, with a rekey_time")
        return seconds

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self.of_ike_sa()
        return self

    def of_ike_sa(self) -> Limit | None:
        """The form the IKE core takes; ValueError for limits that make no sense."""
        return limit(self.rekey_time, self.life_time)
