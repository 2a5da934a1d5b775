"""Extensions of IKEv2 that an operator wants to use with a peer, where the peer has them too."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ExtensionWishes:
    """Those that are a switch for the whole IKE SA. What belongs to a child SA is in its config."""

    full_transcript: bool = True
    """AUTH covers both messages of IKE_SA_INIT (draft-ietf-ipsecme-ikev2-downgrade-prevention)."""
    announce_auth: bool = False
    """Say which methods of authentication we can verify (RFC 9593)."""
    resumption: bool = False
    """Give out tickets, and come back with them (RFC 5723)."""
    crash_detection: bool = False
    """Tokens by which a peer that has lost its state proves it (RFC 6290)."""
    message_id_sync: bool = False
    """Message IDs are agreed on anew when one of a cluster takes over (RFC 6311)."""
    pfs_info: bool = False
    """Key exchange methods of child SAs are in IKE_AUTH (draft-ietf-ipsecme-child-pfs-info)."""
    optimized_rekey: bool = False
    """Rekeys leave out SA and TS (draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt)."""
    delete_reason: bool = False
    """Deletes say why (draft-pwouters-ipsecme-delete-info)."""
    delete_downtime: bool = False
    """They do so in the layout of draft -01: how long it will last, and a text."""
    revised_cookie: bool = False
    """AUTH leaves the cookie out (draft-smyslov-ipsecme-ikev2-cookie-revised)."""
    mtu_detection: bool = False
    """Say how large packets arrive whole (draft-liu-ipsecme-ikev2-mtu-dect)."""
    encrypted_ping: bool = False
    """Say that pings inside SAs are answered (draft-antony-ipsecme-encrypted-esp-ping)."""

    @property
    def experimental(self) -> tuple[str, ...]:
        """Those that are wanted and have private numbers."""
        return tuple(name for name in PRIVATE if getattr(self, name))


PRIVATE: Final = (
    "pfs_info",
    "optimized_rekey",
    "delete_reason",
    "revised_cookie",
    "mtu_detection",
    "encrypted_ping",
)
"""They take the switch `experimental` and our vendor ID."""
