"""Plain ESP, what every other format is measured against."""

from p4esp.ipsec.formats.fields import ICV, IV, RFC4303_TEXT, SEQ, SPI
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import RFC4303
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="esp",
    title="Plain ESP",
    number=Number.PLAIN,
    source=RFC4303,
    clear=(SPI, SEQ, IV),
    text=RFC4303_TEXT,
    tail=(ICV,),
    usual=Parameters(iv_len=8),
    nonce=("Sequence Number",),
    trailer=Trailer.RFC4303,
    spaces=Spaces.ONE,
    tail_use=TailUse.ENGINE,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(),
    problem="Two hosts or gateways want privacy and integrity for IP packets.",
    layout_rule="SPI, sequence number and IV in front; padding, pad length, next header and ICV at "
    "the end.",
    aad_rule="SPI and sequence number, 8 octets; with ESN SPI and 64-bit number, 12 octets.",
    nonce_rule="Salt, then the explicit IV; with an implicit IV salt, 4 zero octets and the "
    "sequence number (RFC 8750).",
    trailer_rule="Padding 1, 2, 3, ... to a multiple of 4, pad length, next header; encrypted, "
    "known only when the last octet is decrypted.",
    replay_rule="One window for the SA; the number is committed when the ICV is right.",
    costs="What a packet holds is known last: pad length and next header stand behind the payload. "
    "One counter and one window serve the whole SA.",
    buys="Every IPsec peer speaks it.",
    limits="One counter: many cores or paths contend for it, and packets of a slower path fall out "
    "of the window.",
)
