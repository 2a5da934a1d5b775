"""The alternative voiced at IETF 118: the header goes to the end as well."""

from p4esp.ipsec.formats.fields import ICV, PAYLOAD, SEQ64, SPI, TIH, ZEROS
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import HEADER_AT_THE_END, HEADER_IN_TRAILER
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="header-in-trailer",
    title="Header in the trailer",
    number=Number.HEADER_IN_TRAILER,
    source=HEADER_AT_THE_END,
    clear=(),
    text=(PAYLOAD, ZEROS),
    tail=(*TIH, SPI, SEQ64, ICV),
    usual=Parameters(iv_len=0),
    nonce=("Sequence Number",),
    trailer=Trailer.TIH,
    spaces=Spaces.ONE,
    tail_use=TailUse.LOOKUP,
    modes=(Mode.TUNNEL,),
    targets=(Target.EMBEDDED, Target.BMV2),
    notifies=(HEADER_IN_TRAILER,),
    problem="In software a header in front and a trailer behind touch two cache lines far from "
    "each other, and pushing the header may copy the packet.",
    layout_rule="The ciphertext comes first; TIH, SPI, 64-bit number and ICV are the last 32 "
    "octets.",
    aad_rule="TIH, SPI and 64-bit number, 16 octets.",
    nonce_rule="Salt, then the 64-bit number: it is the implicit IV.",
    trailer_rule="TIH in clear: 4 bits 0, 12 reserved bits 0, next header, pad length. Padding is "
    "zero octets to a multiple of 4.",
    replay_rule="As RFC 4303, with the 64-bit number in full.",
    costs="The SA lookup itself needs the tail: a P4 pipeline must take the whole packet into a "
    "header to see its end, and moves every octet of it.",
    buys="The plaintext stays where it is in a host's memory, and all of ESP is in one cache line. "
    "The number is sent in full.",
    limits="Only where a pipeline reaches the tail: bmv2 and the embedded switch; not on a chip of "
    "the Tofino class. No UDP encapsulation. Nothing on the path finds an SPI in front. Under IP "
    "protocol 254, as boxes that know protocol 50 expect the SPI first.",
    protocol=254,
)
