"""Trailer adjustment: what stands in the trailer moves behind the header, encrypted."""

from p4esp.ipsec.formats.fields import ICV, IV, PAYLOAD, SEQ, SPI, TIH_ENCRYPTED, ZEROS
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import PAN, trailer_in_header
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="trailer-in-header",
    title="Trailer behind the header",
    number=Number.TRAILER_INSIDE,
    source=PAN,
    clear=(SPI, SEQ, IV),
    text=(*TIH_ENCRYPTED, PAYLOAD, ZEROS),
    tail=(ICV,),
    usual=Parameters(iv_len=8),
    nonce=("Sequence Number",),
    trailer=Trailer.TIH,
    spaces=Spaces.ONE,
    tail_use=TailUse.NOBODY,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(trailer_in_header(7, "trailer-in-header"),),
    problem="Hardware works on the front of a packet while the rest still arrives. The trailer "
    "says what a packet is and where it ends, and comes last.",
    layout_rule="A trailer information header (TIH) of 4 octets is the first word of the encrypted "
    "text. Zero padding stays at the end.",
    aad_rule="As RFC 4303.",
    nonce_rule="As RFC 4303.",
    trailer_rule="TIH: 4 bits 0, 12 reserved bits 0, next header, pad length. Padding is zero "
    "octets to a multiple of 4.",
    replay_rule="As RFC 4303.",
    costs="4 octets for the TIH, 2 less for the old trailer: as long as plain ESP where the "
    "payload is a multiple of 4 or 1 less, 4 octets longer otherwise.",
    buys="A receiver knows type and length from the first decrypted word. A sender knows the whole "
    "header before the payload has passed.",
    limits="Nothing of the packet is readable without the key, as with RFC 4303.",
)
