"""Timers and limits of an IKE endpoint, as a file gives them."""

from dataclasses import fields

from pydantic import Field

from p4esp.configuration.sections import Section
from p4esp.ike.config import Retransmission, Settings
from p4esp.ike.transport import Ports

_TIMERS = Retransmission()
_LIMITS = Settings()
_LIMIT_NAMES = frozenset(field.name for field in fields(Settings))


class IkeSection(Section):
    """Timers and limits of IKE. Times are seconds."""

    retransmit_first: float = Field(default=_TIMERS.first, gt=0, le=60)
    """Wait before a request is sent for the second time."""
    retransmit_base: float = Field(default=_TIMERS.base, ge=1, le=10)
    """Each further wait is so many times as long."""
    retransmit_tries: int = Field(default=_TIMERS.tries, ge=0, le=20)
    """Retransmissions before the peer counts as dead."""
    half_open_timeout: float = Field(default=_LIMITS.half_open_timeout, gt=0)
    """Time in which an initiator has to prove who it is."""
    cookie_threshold: int = Field(default=_LIMITS.cookie_threshold, ge=0)
    """Half-open IKE SAs from which on initiators have to show a cookie."""
    max_half_open: int = Field(default=_LIMITS.max_half_open, ge=1)
    """Half-open IKE SAs at most."""
    max_half_open_per_source: int = Field(default=_LIMITS.max_half_open_per_source, ge=1)
    """Of them, with one source: an IPv4 address or an IPv6 /64."""
    init_rate: float = Field(default=_LIMITS.init_rate, gt=0)
    """IKE_SA_INIT requests per second and source; beyond that a cookie must be shown."""
    futile_rate: float = Field(default=_LIMITS.futile_rate, gt=0)
    """IKE_SA_INIT requests per second, of all sources, that come to nothing before all need one."""
    max_auth_failures: int = Field(default=_LIMITS.max_auth_failures, ge=1)
    """Failed authentications of one source a minute, after which it opens nothing for a while."""
    max_ike_sas: int = Field(default=_LIMITS.max_ike_sas, ge=1)
    """IKE SAs in all, beyond which peers open none."""
    max_ike_sas_per_peer: int = Field(default=_LIMITS.max_ike_sas_per_peer, ge=2)
    """IKE SAs with one pair of identities; the oldest is deleted for the newest."""
    audit_rate: float = Field(default=_LIMITS.audit_rate, gt=0)
    """Records per second of messages that were not used; the others are only counted."""
    fragment_size: int = Field(default=_LIMITS.fragment_size, ge=576, le=65535)
    """Octets of the largest IP packet a message makes when the peer takes fragments (RFC 7383)."""
    ticket_lifetime: float = Field(default=_LIMITS.ticket_lifetime, ge=1, le=86400)
    """Seconds in which a peer with `resumption` may come back with its ticket."""
    nat_keepalive: float = Field(default=_LIMITS.nat_keepalive, ge=0)
    """Silence after which we send a keepalive when we are behind a NAT; 0: never."""

    def settings(self, ports: Ports | None = None, *, experimental: bool = False) -> Settings:
        """The form the IKE core takes."""
        retransmission = Retransmission(
            self.retransmit_first, self.retransmit_base, self.retransmit_tries
        )
        limits = {name: value for name, value in self if name in _LIMIT_NAMES}
        return Settings(
            ports=ports or Ports(),
            retransmission=retransmission,
            experimental=experimental,
            **limits,
        )
