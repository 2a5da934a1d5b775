"""What all gateways of a controller take from outside."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

from p4esp.controller.program import Program
from p4esp.controller.shares import PATIENCE
from p4esp.ike.config import Settings
from p4esp.ike.state import WallClock
from p4esp.service.audit import TraceSink
from p4esp.service.backoff import RETRY, RETRY_MOST
from p4esp.service.event_hub import EventHub
from p4esp.service.journal import Journal
from p4esp.service.key_export import KeyExporter
from p4esp.store import Store

RECONNECT: Final = 1.0
"""Seconds between two attempts to reach a switch."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a gateway takes from outside. Times are seconds."""

    program: Program
    store: Store
    journal: Journal
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    wall_clock: WallClock = field(default=partial(datetime.now, UTC))
    election_id: int = 10
    ike_settings: Settings = field(default_factory=Settings)
    trace: TraceSink | None = None
    """Called with the gateway's name and each IKE message."""
    export_keys: KeyExporter | None = None
    hub: EventHub = field(default_factory=EventHub)
    """Told of the events of all gateways, once they are dealt with."""
    reconnect: float = RECONNECT
    retry: float = RETRY
    retry_most: float = RETRY_MOST
    """The least and the most time between two attempts at a child."""
    patience: float = PATIENCE
    """Between two at more SAs of one, where the peer has said that it makes no more."""
    health_interval: float = 1.0
    traffic_interval: float = 10.0
    """How often IKE is told what SAs carry, for liveness checks and limits."""
    resync_interval: float = 1.0
    """How often SAs with ESN are looked at for packets that fail, and tried (RFC 4303 A3)."""
    audit_interval: float = 10.0
    """How often drop counters are read, for the audit and metrics."""
