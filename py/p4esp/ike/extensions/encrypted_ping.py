"""Saying in IKE_AUTH that ESP pings inside SAs are answered
(draft-antony-ipsecme-encrypted-esp-ping).

A peer that has not said so may be pinged all the same: without a reply nothing is known of it.
"""

from typing import Final

from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.extensions.mutual import MutualNotify

KIND: Final = NotifyType.ENCRYPTED_PING_SUPPORTED
ENCRYPTED_PING: Final = MutualNotify(
    KIND, ExchangeType.IKE_AUTH, lambda wishes: wishes.encrypted_ping, private=True
)
