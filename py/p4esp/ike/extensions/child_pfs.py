"""CHILD_SA_PFS_INFO_SUPPORTED in IKE_SA_INIT (draft-ietf-ipsecme-child-pfs-info-00): IKE_AUTH then
shows key exchange methods of the child SA, too, so that ends that do not agree on them find out at
once and not at the first rekey.
"""

from typing import Final

from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.extensions.mutual import MutualNotify

CHILD_PFS_INFO: Final = MutualNotify(
    NotifyType.CHILD_SA_PFS_INFO_SUPPORTED,
    ExchangeType.IKE_SA_INIT,
    lambda wishes: wishes.pfs_info,
    private=True,
    strongswans=True,
)
"""`child_methods.shown_in_auth` tells whether it was agreed on."""
