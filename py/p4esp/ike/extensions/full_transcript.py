"""IKE_SA_INIT_FULL_TRANSCRIPT_AUTH (draft-ietf-ipsecme-ikev2-downgrade-prevention).

A responder says it unasked: who takes it out of the request alone is found out, too.
"""

from typing import Final

from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.extensions.mutual import MutualNotify

FULL_TRANSCRIPT: Final = MutualNotify(
    NotifyType.IKE_SA_INIT_FULL_TRANSCRIPT_AUTH,
    ExchangeType.IKE_SA_INIT,
    lambda wishes: wishes.full_transcript,
    unasked=True,
)
