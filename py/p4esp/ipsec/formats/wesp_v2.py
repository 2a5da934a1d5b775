"""WESP version 2: a header in front of ESP says where the payload is, and the ICV covers it."""

from p4esp.ipsec.formats.fields import (
    ICV,
    IV_IN_AAD,
    OFFSET_TEXT,
    PAD_OPTION,
    SEQ,
    SHOWN,
    SPI,
    WESP_V2,
)
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import USE_WESP_V2, WESP_V2_DRAFT
from p4esp.ipsec.formats.telling import told_by_wesp_v2
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="wesp-v2",
    title="Wrapped ESP, version 2",
    number=Number.WESP_V2,
    source=WESP_V2_DRAFT,
    clear=(*WESP_V2, PAD_OPTION, SPI, SEQ, IV_IN_AAD, SHOWN),
    text=OFFSET_TEXT,
    tail=(ICV,),
    usual=Parameters(iv_len=8, shown=28),
    nonce=("Sequence Number",),
    trailer=Trailer.RFC4303,
    spaces=Spaces.ONE,
    tail_use=TailUse.ENGINE,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(USE_WESP_V2,),
    protocol=141,
    told=told_by_wesp_v2,
    problem="As crypt-offset; and a switch must find the flow inside from the packet alone, "
    "without being told anything by SPI.",
    layout_rule="The WESP header of 4 octets in front of ESP under IP protocol 141: next header, "
    "octets up to the payload, crypt offset, version 1, octets of options. Over IPv6 a PadN of 4 "
    "octets, unless UDP is between. Behind the IV the octets that are shown.",
    aad_rule="All from the WESP header to the last octet in clear: header, options, SPI, number, "
    "IV, payload shown.",
    nonce_rule="As RFC 4303.",
    trailer_rule="As RFC 4303, encrypted. The next header in front must be that of the trailer; "
    "where nothing is shown it is 59.",
    replay_rule="As RFC 4303.",
    costs="4 octets more than plain ESP, over IPv6 8. Next header and first octets of the payload "
    "are public.",
    buys="Any switch finds the flow inside from the packet alone, and nobody can change it, or "
    "the header that shows the way, unnoticed.",
    limits="A packet whose version, length, offset or options are not those of the SA is dropped "
    "(ENCAP_MISMATCH); no option but PadN. One offset for the SA: a packet shorter than it is not "
    "sent. No ESN. AES-GCM and ChaCha20-Poly1305. The working group went on to EESP.",
)
