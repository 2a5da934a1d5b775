"""Keeping our NAT mapping alive (RFC 3948 4)."""

from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.transport import NAT_KEEPALIVE
from p4esp.ike.wire import Wire


class Keepalive:
    """While we are behind a NAT, no interval passes without something sent through it.

    ESP packets are not counted, because IKE does not see them: one octet more does no harm.
    """

    def __init__(self, state: IkeSaState, wire: Wire) -> None:
        self._state = state
        self._wire = wire

    @property
    def deadline(self) -> float | None:
        """When the next keepalive is due; None: none is needed."""
        interval = self._state.env.settings.nat_keepalive
        return self._wire.last_sent + interval if interval and self._is_needed() else None

    def _is_needed(self) -> bool:
        sa = self._state
        alive = sa.phase in (Phase.ESTABLISHED, Phase.DELETING)
        shared_port = sa.path.local.port == sa.env.settings.ports.nat
        return alive and shared_port and sa.nat is not None and sa.nat.local

    def handle_timer(self) -> None:
        """Send one when it is due."""
        deadline = self.deadline
        if deadline is not None and deadline <= self._state.now:
            self._wire.send((NAT_KEEPALIVE,), self._state.path)
