"""WESP around ESP that hides nothing: a firewall reads the payload, and nobody can change it."""

from p4esp.ipsec.formats.fields import GMAC_TEXT, ICV, IV_IN_AAD, SEQ, SPI, WESP, WESP_PADDING
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import RFC5840, USE_WESP
from p4esp.ipsec.formats.telling import told_by_wesp
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="wesp",
    title="Wrapped ESP, integrity only",
    number=Number.PLAIN,
    source=RFC5840,
    clear=(*WESP, WESP_PADDING, SPI, SEQ, IV_IN_AAD),
    text=GMAC_TEXT,
    tail=(ICV,),
    usual=Parameters(iv_len=8),
    nonce=("Sequence Number",),
    trailer=Trailer.RFC4303,
    spaces=Spaces.ONE,
    tail_use=TailUse.ENGINE,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(USE_WESP,),
    protocol=141,
    told=told_by_wesp,
    problem="A firewall cannot tell ESP that hides its payload from ESP that only protects it, "
    "nor find the payload in it.",
    layout_rule="A header of 4 octets in front of ESP under IP protocol 141: next header, octets "
    "up to the payload, octets of ICV, version 0. Over IPv6 4 octets of padding, unless UDP is "
    "between. Nothing is encrypted.",
    aad_rule="All from the SPI to the trailer (RFC 4543). The WESP header is not covered: it must "
    "say what the SA says, and its next header what the trailer says.",
    nonce_rule="Salt, then the explicit IV.",
    trailer_rule="As RFC 4303, in clear.",
    replay_rule="As RFC 4303.",
    costs="4 octets more than plain ESP, over IPv6 8, and no privacy.",
    buys="Any box on the path reads and filters the whole payload, and cannot change it unnoticed.",
    limits="With AES-GMAC or NULL encryption. With encryption the header is all zero but for the E "
    "flag, and tells a firewall no more than that. A header that disagrees with the SA is dropped "
    "(ENCAP_MISMATCH).",
)
