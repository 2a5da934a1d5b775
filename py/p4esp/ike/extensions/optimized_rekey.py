"""OPTIMIZED_REKEY_SUPPORTED in the first IKE_AUTH request and the last IKE_AUTH response
(draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt): rekeys may then leave out SA and TS payloads.
"""

from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.extensions.mutual import MutualNotify


class OptimizedRekeying(MutualNotify):
    """`inheriting.is_agreed` tells whether it was agreed on."""

    def __init__(self) -> None:
        super().__init__(
            NotifyType.OPTIMIZED_REKEY_SUPPORTED,
            ExchangeType.IKE_AUTH,
            lambda wishes: wishes.optimized_rekey,
            private=True,
            strongswans=True,
        )
