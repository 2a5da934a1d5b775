"""Extensions of IKEv2 that a peer is to be spoken to with, as a file describes them."""

from collections.abc import Iterable

from p4esp.configuration.sections import Section
from p4esp.ike.extension_wishes import ExtensionWishes

_DEFAULT = ExtensionWishes()


class ExtensionSection(Section):
    """Each is used where the peer has it, too; those of drafts take `experimental`."""

    full_transcript: bool = _DEFAULT.full_transcript
    """Prove both messages of IKE_SA_INIT, so that nobody takes an offer out of them."""
    announce_auth: bool = _DEFAULT.announce_auth
    """Say which methods of authentication we can verify (RFC 9593)."""
    resumption: bool = _DEFAULT.resumption
    """Give out tickets, and come back with them after a break (RFC 5723)."""
    crash_detection: bool = _DEFAULT.crash_detection
    """Exchange tokens by which an end that has lost its state proves it (RFC 6290)."""
    message_id_sync: bool = _DEFAULT.message_id_sync
    """Agree on message IDs anew when another takes over for one end (RFC 6311)."""
    pfs_info: bool = _DEFAULT.pfs_info
    """Compare key exchange methods of child SAs when the peer is authenticated. Experimental."""
    optimized_rekey: bool = _DEFAULT.optimized_rekey
    """Leave out of rekeys what does not change. Experimental."""
    delete_reason: bool = _DEFAULT.delete_reason
    """Say why an SA is deleted, and act on what the peer says. Experimental."""
    delete_downtime: bool = _DEFAULT.delete_downtime
    """Say it as draft -01 did: for how many seconds, and a text, but no type."""
    revised_cookie: bool = _DEFAULT.revised_cookie
    """Leave the cookie out of what is proved. Experimental."""
    mtu_detection: bool = _DEFAULT.mtu_detection
    """Tell the peer how large its packets arrive whole, and heed what it says. Experimental."""
    encrypted_ping: bool = _DEFAULT.encrypted_ping
    """Say that ESP pings inside SAs are answered here, and learn who does. Experimental."""

    def wishes(self) -> ExtensionWishes:
        """The form the IKE core takes."""
        return ExtensionWishes(**dict(self))


def check_extensions(peers: Iterable[tuple[str, ExtensionSection]], *, allowed: bool) -> None:
    """ValueError for an extension with private numbers without the switch; peers go by name."""
    for name, section in peers:
        private = section.wishes().experimental
        if private and not allowed:
            raise ValueError(
                f"peer {name}: extensions.{private[0]} is experimental; "
                f"accepted: experimental = true beside the peers, or {private[0]} = false"
            )
