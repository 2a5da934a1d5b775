"""The fields that formats are made of."""

from __future__ import annotations

from p4esp.ipsec.formats.model import Field, Proof, When

SPI = Field("SPI", 32, "names the receiver's SA")
SPI_OF_BLOCK = Field("SPI", 32, "first SPI of the SA's block plus the sub SA's number")
SEQ = Field("Sequence Number", 32, "counter of the SA; with ESN its low half")
SEQ_OF_SUB = Field("Sequence Number", 32, "counter of the sub SA; with ESN its low half")
SUB_ID = Field("Sub ID", 16, "which sub SA; it chooses key, counter and window")
SUBSPACE_ID = Field("Subspace ID", 16, "which subspace; it chooses counter and window")
SEQ48 = Field("Sequence Number", 48, "counter of this space, from 1")
SEQ64 = Field("Sequence Number", 64, "counter of the SA in full; the implicit IV as well")
IV = Field("IV", 64, "explicit IV, the last 8 octets of the nonce", Proof.NONCE, When.EXPLICIT_IV)
IV_IN_AAD = Field(
    "IV", 64, "explicit IV; it is in the AAD so that the AAD is one piece", when=When.EXPLICIT_IV
)
SHOWN = Field("Clear Payload", None, "first octets of the payload, readable", when=When.SHOWN)
ICV = Field("ICV", 128, "check value of AEAD", Proof.TAG)

PAYLOAD = Field("Payload", None, "inner packet, or layer 4 in transport mode", Proof.TEXT)
REST = Field("Rest of Payload", None, "what of the payload is not shown", Proof.TEXT)
INNER = Field(
    "Inner IP Packet", None, "its own header says what it is and where it ends", Proof.TEXT
)
PADDING = Field("Padding", None, "1, 2, 3, ... to a multiple of 4", Proof.TEXT)
ZEROS = Field("Padding", None, "zero octets to a multiple of 4", Proof.TEXT)
PAD_LENGTH = Field("Pad Length", 8, "octets of padding in front of it", Proof.TEXT)
NEXT_HEADER = Field("Next Header", 8, "protocol of the payload", Proof.TEXT)
RFC4303_TEXT = (PAYLOAD, PADDING, PAD_LENGTH, NEXT_HEADER)
OFFSET_TEXT = (REST, PADDING, PAD_LENGTH, NEXT_HEADER)


def trailer_information(proof: Proof, when: When = When.ALWAYS) -> tuple[Field, ...]:
    """The four fields of a trailer information header (TIH)."""
    return (
        Field("Zero", 4, "0: an IP packet would have 4 or 6 here", proof, when, label="0"),
        Field("Reserved", 12, "0", proof, when),
        Field("Next Header", 8, "protocol of the payload", proof, when),
        Field("Pad Length", 8, "zero octets behind the payload", proof, when),
    )


TIH = trailer_information(Proof.AAD)
TIH_ENCRYPTED = trailer_information(Proof.TEXT)

WESP = (
    Field("Next Header", 8, "protocol of the payload", Proof.CHECK),
    Field("Header Length", 8, "octets from here to what follows the IV", Proof.CHECK),
    Field("Trailer Length", 8, "octets of the ICV", Proof.CHECK),
    Field("Version", 2, "0: the first version", Proof.CHECK, label="Ver"),
    Field("Encrypted", 1, "0: nothing is encrypted", Proof.CHECK, label="E"),
    Field("Padded", 1, "1: 4 octets of padding follow", Proof.CHECK, label="P"),
    Field("Reserved", 4, "0; ignored", Proof.CHECK, label="Rsvd"),
)
WESP_PADDING = Field("WESP Padding", 32, "0; fills up to 8 octets", Proof.CHECK, when=When.PADDED)
GMAC_TEXT = (
    Field("Payload", None, "inner packet, or layer 4 in transport mode"),
    Field("Padding", None, "1, 2, 3, ... to a multiple of 4"),
    Field("Pad Length", 8, "octets of padding in front of it"),
    Field("Next Header", 8, "protocol of the payload, as in front"),
)
WESP_V2 = (
    Field("Next Header", 8, "protocol of the payload; 59 where nothing is shown"),
    Field("Header Length", 8, "octets from here to what follows the IV"),
    Field("Crypt Offset", 6, "octets in clear behind the IV, divided by 4", label="CryptOffset"),
    Field("Reserved", 2, "0; ignored", label="R"),
    Field("Version", 2, "1: the second version", label="Ver"),
    Field("Option Length", 6, "octets of options", label="Opt Len"),
)
EESP_BASE = (
    Field("One", 1, "1: no SPI of ESP, where both are in UDP", label="1"),
    Field("Version", 4, "0"),
    Field("Reserved", 3, "0", label="R"),
    Field("Option Length", 8, "octets of options"),
    Field("Session ID", 16, "which sub SA; it chooses key, counter and window"),
    SPI,
)
CRYPT_OFFSET_OPTION = (
    Field("Option Type", 8, "2: Crypt Offset", when=When.OFFSET),
    Field("Option Data Length", 8, "2", when=When.OFFSET, label="Data Length"),
    Field(
        *("Payload Offset", 6, "octets up to the payload info header, divided by 4"),
        when=When.OFFSET,
        label="PayloadOffs",
    ),
    Field(
        *("Crypt Offset", 6, "octets in clear from there on, divided by 4"),
        when=When.OFFSET,
        label="CryptOffset",
    ),
    Field("Reserved", 4, "0; ignored", when=When.OFFSET, label="R"),
)
PAD_OPTION = Field(
    "PadN", 32, "option 1 with 2 octets of data: fills up to 8 octets", when=When.PADDED
)
SEQ64_NUMBERED = Field("Sequence Number", 64, "counter of the sub SA in full", when=When.NUMBERED)
PIH_SHOWN = trailer_information(Proof.AAD, When.SHOWN)
PIH_HIDDEN = trailer_information(Proof.TEXT, When.HIDDEN)
PAYLOAD_HIDDEN = Field(
    "Payload", None, "inner packet, or layer 4 in transport mode", Proof.TEXT, When.HIDDEN
)
REST_SHOWN = Field(
    "Rest of Payload", None, "what of the payload is not shown", Proof.TEXT, When.SHOWN
)
PSP_BASE = (
    Field("Next Header", 8, "protocol of the payload"),
    Field("Header Ext Length", 8, "units of 8 octets behind the first: 1, with a cookie 2"),
    Field("Reserved", 2, "0", label="R"),
    Field("Crypt Offset", 6, "octets in clear behind the IV, divided by 4", label="CryptOffset"),
    Field("Sample", 1, "1: to be sampled; ignored", label="S"),
    Field("Drop", 1, "1: to be dropped once it is verified", label="D"),
    Field("Version", 4, "0: AES-GCM with 128 bits, 1: with 256"),
    Field("Cookie Present", 1, "1: a virtualization cookie follows", label="V"),
    Field("One", 1, "1", label="1"),
    Field("SPI", 32, "names the receiver's SA; its first bit chooses the master key"),
    Field("IV", 64, "counter of the SA; the last 8 octets of the nonce"),
)


def psp_cookie(proof: Proof, token: When, key: When) -> tuple[Field, ...]:
    """A virtualization cookie, whose halves may be on both sides of the crypt offset."""
    return (
        Field("Security Token", 32, "first half of the virtualization cookie", proof, token),
        Field("Virtual Key", 32, "second half of the virtualization cookie", proof, key),
    )


COOKIE_SHOWN = psp_cookie(Proof.AAD, When.TOKEN_SHOWN, When.KEY_SHOWN)
COOKIE_HIDDEN = psp_cookie(Proof.TEXT, When.TOKEN_HIDDEN, When.KEY_HIDDEN)
