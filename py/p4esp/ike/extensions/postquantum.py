"""USE_PPK and USE_PPK_INT in IKE_SA_INIT (RFC 8784 3, RFC 9867 3.1): two extensions that are
offered independently, of which one at most is used.
"""

from typing import Final

from p4esp.ike.auth.ppk_keys import ppks_usable
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.notifies import usable_data
from p4esp.ike.ppk import PpkMode
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

_KINDS: Final = {
    PpkMode.INTERMEDIATE: NotifyType.USE_PPK_INT,
    PpkMode.AUTH: NotifyType.USE_PPK,
}
"""Best first."""


class PostquantumKeys:
    """Lets both ends mix a postquantum preshared key into the keys."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note the best way that both ends have."""
        if message.header.exchange == ExchangeType.IKE_SA_INIT:
            common = (mode for mode in _KINDS if _is_theirs(sa, mode, message) and _ours(sa, mode))
            sa.ppk.agreed = next(common, PpkMode.NONE)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """A notify for each way, where we have a PPK for the peer; a responder names the best."""
        if exchange != ExchangeType.IKE_SA_INIT:
            return []
        if not response:
            sa.ppk.announced = frozenset(mode for mode in _KINDS if ppks_usable(sa, mode))
        said = {sa.ppk.agreed} if response else sa.ppk.announced
        return [Notify(kind) for mode, kind in _KINDS.items() if mode in said]


def _is_theirs(sa: IkeSaState, mode: PpkMode, message: Inbound) -> bool:
    """The way through IKE_INTERMEDIATE means nothing without that exchange."""
    possible = mode is not PpkMode.INTERMEDIATE or sa.additional.supported
    return possible and usable_data(sa, _KINDS[mode], message.payloads) is not None


def _ours(sa: IkeSaState, mode: PpkMode) -> bool:
    return mode in sa.ppk.announced if sa.initiator else ppks_usable(sa, mode)
