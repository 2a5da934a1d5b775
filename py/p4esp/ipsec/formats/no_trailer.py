"""Trailer adjustment for tunnels: the inner packet says itself what the trailer said."""

from p4esp.ipsec.formats.fields import ICV, INNER, IV, SEQ, SPI, ZEROS
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import PAN, trailer_in_header
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="no-trailer",
    title="No trailer",
    number=Number.NO_TRAILER,
    source=PAN,
    clear=(SPI, SEQ, IV),
    text=(INNER, ZEROS),
    tail=(ICV,),
    usual=Parameters(iv_len=8),
    nonce=("Sequence Number",),
    trailer=Trailer.INNER,
    spaces=Spaces.ONE,
    tail_use=TailUse.NOBODY,
    modes=(Mode.TUNNEL,),
    targets=tuple(Target),
    notifies=(trailer_in_header(5, "no-trailer"),),
    problem="As trailer-in-header; and in a tunnel all that the trailer says is said twice.",
    layout_rule="No trailer at all: the first nibble of the inner packet says IPv4 or IPv6, its "
    "length where the padding begins.",
    aad_rule="As RFC 4303.",
    nonce_rule="As RFC 4303.",
    trailer_rule="None. Zero octets to a multiple of 4 behind the inner packet.",
    replay_rule="As RFC 4303.",
    costs="4 octets less than plain ESP where the inner packet is a multiple of 4 or 1 less, as "
    "long otherwise: nothing is shorter.",
    buys="As trailer-in-header, without its word.",
    limits="Tunnel mode only, and no dummy packets: there is no next header 59. More padding than "
    "needed is refused (BAD_INNER).",
)
