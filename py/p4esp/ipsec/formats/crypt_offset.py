"""Encryption offset: the first octets of the payload stay in clear and are authenticated."""

from p4esp.ipsec.formats.fields import ICV, IV_IN_AAD, OFFSET_TEXT, SEQ, SHOWN, SPI
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import OFFSET, crypt_offset
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="crypt-offset",
    title="Encryption offset",
    number=Number.CRYPT_OFFSET,
    source=OFFSET,
    clear=(SPI, SEQ, IV_IN_AAD, SHOWN),
    text=OFFSET_TEXT,
    tail=(ICV,),
    usual=Parameters(iv_len=8, shown=28),
    nonce=("Sequence Number",),
    trailer=Trailer.RFC4303,
    spaces=Spaces.ONE,
    tail_use=TailUse.ENGINE,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(crypt_offset("0780", "at most 28 octets, fixed for the SA"),),
    problem="Switches on the path want ports and flags of the flow inside, for ECMP, QoS and "
    "telemetry; the ends want the data secret and all of it authentic.",
    layout_rule="As RFC 4303, but the first octets of the payload, a multiple of 4 fixed for the "
    "SA, are not encrypted.",
    aad_rule="All from the SPI to the last octet in clear, the IV among them; with ESN the number "
    "counts with its 8 octets.",
    nonce_rule="As RFC 4303.",
    trailer_rule="As RFC 4303, encrypted.",
    replay_rule="As RFC 4303.",
    costs="No octet more than plain ESP. What is shown is public: addresses and ports at the "
    "least, and a TCP checksum tells of a payload that is easy to guess.",
    buys="Any switch sees the flow inside, without a key, and nobody can change it unnoticed. The "
    "engine has less to encrypt.",
    limits="The offset is not in the packet: a switch must be told, by SPI. A packet shorter than "
    "the offset is not sent, and dropped when it comes (BAD_OFFSET). AES-GCM and "
    "ChaCha20-Poly1305.",
)
