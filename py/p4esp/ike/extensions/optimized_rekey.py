"""OPTIMIZED_REKEY_SUPPORTED in the first IKE_AUTH request and the last IKE_AUTH response
(draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt): rekeys may then leave out SA and TS payloads.
"""

from typing import Final

from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.extensions.mutual import MutualNotify

OPTIMIZED_REKEYS: Final = MutualNotify(
    NotifyType.OPTIMIZED_REKEY_SUPPORTED,
    ExchangeType.IKE_AUTH,
    lambda wishes: wishes.optimized_rekey,
    private=True,
    strongswans=True,
)
"""`inheriting.is_agreed` tells whether it was agreed on."""
