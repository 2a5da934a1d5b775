"""Limits of the SAs of a gateway, as a file describes them."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from p4esp.configuration.sections import Section
from p4esp.controller.numbers import DfMode
from p4esp.controller.sa_entries import LAST_EXTENDED_SEQUENCE, SaSettings


def _check_dscp(value: Any) -> Any:
    if value == "copy" or (type(value) is int and 0 <= value <= 63):
        return value
    raise ValueError("accepted: copy, or 0..63")


Dscp = Annotated[Literal["copy"] | int, BeforeValidator(_check_dscp)]


class SaSection(Section):
    """Limits of every SA of a gateway. Packets and seconds."""

    window: int = Field(default=1024, ge=0, le=4096)
    """Anti-replay window in packets, 32..4096; 0: none, for `proposals` without `esn` only."""
    soft_packets: int | None = Field(default=None, gt=0)
    """Packets after which a new SA is negotiated; unset: three quarters of the hard limit."""
    hard_packets: int | None = Field(default=None, gt=1)
    """Packets after which the SA sends nothing more; unset: the end of its sequence numbers."""
    tunnel_ttl: int = Field(default=64, ge=1, le=255)
    """TTL or hop limit of the outer headers of tunnels."""
    df: Literal["copy", "set", "clear"] = "copy"
    """DF of the outer headers of tunnels over IPv4: that of the inner one, set or clear."""
    dscp: Dscp = "copy"
    """DSCP of the outer headers of tunnels, 0..63; `copy`: that of the inner one."""
    tfc: int = Field(default=0, ge=0, le=9000)
    """Octets that packets in tunnels are filled up to, as far as the path MTU lets; 0: none."""
    grace: float = Field(default=1.0, ge=0)
    """Seconds that a replaced SA still receives."""

    @model_validator(mode="after")
    def _window_is_usable(self) -> Self:
        """RFC 4303 3.4.3: 32 MUST be supported, and is the least."""
        if 0 < self.window < 32:
            raise ValueError(f"window {self.window}: accepted are 0 (none) and 32..4096 packets")
        return self

    @model_validator(mode="after")
    def _soft_limit_is_first(self) -> Self:
        hard = self.hard_packets or LAST_EXTENDED_SEQUENCE
        if self.soft_packets is not None and self.soft_packets >= hard:
            accepted = f"accepted: 1..{hard - 1}, below the hard limit"
            raise ValueError(f"soft_packets {self.soft_packets}: {accepted}")
        return self

    def settings(self) -> SaSettings:
        """The form the installer takes."""
        return SaSettings(
            window=self.window,
            soft_packets=self.soft_packets,
            hard_packets=self.hard_packets,
            tunnel_ttl=self.tunnel_ttl,
            tfc=self.tfc,
            df=DfMode[self.df.upper()],
            dscp=None if self.dscp == "copy" else self.dscp,
        )
