"""How long an IKE SA has been in its phase of life, and when it is forgotten there."""

from p4esp.ike.events import DownReason
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.teardown import OVER, close
from p4esp.ike.term import Term


class PhaseClock:
    """Watches the phase of one IKE SA; the term of an established one begins here."""

    def __init__(self, state: IkeSaState) -> None:
        self._state = state
        self._phase: Phase | None = None
        self._since = state.now

    def note(self) -> None:
        """See whether the phase has changed."""
        sa = self._state
        if sa.phase is self._phase:
            return
        self._phase, self._since = sa.phase, sa.now
        if sa.phase in OVER:
            sa.forget_keys()
        elif sa.phase is Phase.ESTABLISHED and sa.config.lifetime is not None:
            sa.term = Term.of(sa.config.lifetime, sa.now, sa.env.fraction())

    @property
    def deadline(self) -> float | None:
        """When an IKE SA is forgotten that is half-open, closed, or left to the peer to delete."""
        settings, phase = self._state.env.settings, self._state.phase
        if phase is Phase.CLOSED:
            return self._since + settings.linger
        if phase in (Phase.STANDBY, Phase.REKEYED):
            return self._since + settings.retransmission.total + settings.linger
        half_open = phase is Phase.NEGOTIATING and not self._state.initiator
        return self._since + settings.half_open_timeout if half_open else None

    def handle_timer(self) -> None:
        """Forget it when it is time."""
        if self.deadline is not None and self.deadline <= self._state.now:
            close(self._state, DownReason.REKEYED)
            self._state.phase = Phase.DEAD
