"""Encryption offset together with the trailer in clear: a switch knows what it reads."""

from p4esp.ipsec.formats.fields import ICV, IV_IN_AAD, REST, SEQ, SHOWN, SPI, TIH, ZEROS
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import OFFSET, crypt_offset
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="crypt-offset-shown",
    title="Encryption offset, trailer in clear",
    number=Number.TRAILER_SHOWN,
    source=OFFSET,
    clear=(SPI, SEQ, IV_IN_AAD, *TIH, SHOWN),
    text=(REST, ZEROS),
    tail=(ICV,),
    usual=Parameters(iv_len=8, shown=28),
    nonce=("Sequence Number",),
    trailer=Trailer.TIH,
    spaces=Spaces.ONE,
    tail_use=TailUse.NOBODY,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(crypt_offset("07c0", "at most 28 octets, fixed for the SA, with a TIH in clear"),),
    problem="As crypt-offset; and the type of what is shown must not be guessed.",
    layout_rule="The TIH in clear behind the IV, then the octets that are shown, then the "
    "ciphertext.",
    aad_rule="All from the SPI to the last octet in clear, IV and TIH among them; with ESN the "
    "number counts with its 8 octets.",
    nonce_rule="As RFC 4303.",
    trailer_rule="TIH in clear: 4 bits 0, 12 reserved bits 0, next header, pad length. Padding is "
    "zero octets to a multiple of 4.",
    replay_rule="As RFC 4303.",
    costs="As trailer-in-clear, and what is shown is public.",
    buys="What crypt-offset and trailer-in-clear buy together; a switch reads the type before it "
    "reads the ports.",
    limits="As crypt-offset.",
)
