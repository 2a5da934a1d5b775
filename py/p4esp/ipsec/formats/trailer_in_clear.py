"""Trailer adjustment with the facts of the trailer in clear."""

from p4esp.ipsec.formats.fields import ICV, IV_IN_AAD, PAYLOAD, SEQ, SPI, TIH, ZEROS
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import PAN, trailer_in_header
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="trailer-in-clear",
    title="Trailer behind the header, in clear",
    number=Number.TRAILER_SHOWN,
    source=PAN,
    clear=(SPI, SEQ, IV_IN_AAD, *TIH),
    text=(PAYLOAD, ZEROS),
    tail=(ICV,),
    usual=Parameters(iv_len=8),
    nonce=("Sequence Number",),
    trailer=Trailer.TIH,
    spaces=Spaces.ONE,
    tail_use=TailUse.NOBODY,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(trailer_in_header(6, "trailer-in-clear"),),
    problem="As trailer-in-header; and a switch without the key wants to know what a packet is.",
    layout_rule="The TIH of 4 octets stands in clear behind the IV.",
    aad_rule="All from the SPI to the TIH, 20 octets, the IV among them; with ESN the number "
    "counts with its 8 octets.",
    nonce_rule="As RFC 4303.",
    trailer_rule="TIH: 4 bits 0, 12 reserved bits 0, next header, pad length. Padding is zero "
    "octets to a multiple of 4.",
    replay_rule="As RFC 4303.",
    costs="As trailer-in-header; and next header and pad length are public, which weakens traffic "
    "flow confidentiality.",
    buys="A switch without keys counts, polices and steers by the type of the payload, and cannot "
    "change it unnoticed.",
    limits="For AES-GCM and ChaCha20-Poly1305.",
)
