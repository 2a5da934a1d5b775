"""Where formats come from, and the IKE notifies that negotiate them.

Every number here but those of RFCs is private, sent only behind the switch "experimental" and
with a vendor ID.
"""

from __future__ import annotations

from p4esp.ipsec.formats.model import Notify, Source

RFC4303 = Source("RFC 4303", "RFC 4303, with AES-GCM as in RFC 4106 and RFC 8750", ours=False)
SUB_CHILD_SAS = Source(
    "ours, after mrossberg-02",
    "our proposal, after the idea of draft-mrossberg-ipsecme-multiple-sequence-counters-02 "
    "(sub-child SAs); our layout: the draft fixes none, and beyond its abstract could not be read; "
    "keys per sub SA as in draft-ietf-ipsecme-eesp-ikev2-02",
    ours=True,
)
PONCHON = Source(
    "ours, after ponchon-03",
    "our proposal, after draft-ponchon-ipsecme-anti-replay-subspaces-03 and IETF 118 (64 bits of "
    "sequence information with a subspace ID in them); our layout; the draft could not be read; "
    "rules of sender and receiver as draft-ietf-ipsecme-eesp-04 section 2.9 carries them",
    ours=True,
)
PAN = Source(
    "ours, after pan-00",
    "our proposal, after draft-pan-ipsecme-esp-trailer-adjustment-00 and IETF 118 (trailer right "
    "behind the header); our layout; the draft could not be read; the four octets are those of the "
    "Payload Info Header of draft-ietf-ipsecme-eesp-04",
    ours=True,
)
HEADER_AT_THE_END = Source(
    "ours, after IETF 118",
    "our proposal, after an alternative voiced at IETF 118; our layout; no draft was found",
    ours=True,
)
OFFSET = Source(
    "ours, after IETF 118",
    "our proposal, after IETF 118 and the idea of draft-mrossberg-ipsecme-multiple-sequence-"
    "counters-02 (a transport header in part unencrypted); our layout: the draft fixes none; units "
    "of 4 octets and the AAD as in PSP and draft-ietf-ipsecme-eesp-04",
    ours=True,
)


def sub_child_sa(wire: int, means: str) -> Notify:
    """N(SUB_CHILD_SA); `wire` 1 has the ID in the header, 2 has it in the SPI."""
    return Notify(
        "SUB_CHILD_SA",
        51211,
        (
            "format, 1 octet: 1 ID in the header, 2 ID in the SPI; the responder picks",
            "k, 1 octet: 2^k SPIs in a block; 0 with the ID in the header",
            "highest ID, 2 octets: what the sender of the notify can receive; not echoed",
            "key derivation, 2 octets: 1 HKDF-SHA2-256; the responder picks",
        ),
        bytes((wire, 2 if wire == 2 else 0)) + bytes.fromhex("00030001"),
        means,
    )


def trailer_in_header(bit: int, means: str) -> Notify:
    """N(ESP_TRAILER_IN_HEADER) for one of its three variants."""
    return Notify(
        "ESP_TRAILER_IN_HEADER",
        51204,
        (
            "variants, 1 octet: bit 7 trailer-in-header, bit 6 trailer-in-clear, bit 5 no-trailer; "
            "the responder echoes exactly one",
        ),
        bytes((1 << bit,)),
        means,
    )


def crypt_offset(data: str, means: str) -> Notify:
    """N(ESP_CRYPT_OFFSET)."""
    return Notify(
        "ESP_CRYPT_OFFSET",
        51206,
        (
            "maximum, 1 octet: units of 4 octets that the sender of the notify accepts in clear; "
            "not echoed, the peer stays at or below it",
            "flags, 1 octet: bit 7 the offset is fixed for the SA, bit 6 a TIH in clear in front",
        ),
        bytes.fromhex(data),
        means,
    )


REPLAY_SUBSPACES = Notify(
    "REPLAY_SUBSPACES",
    52020,
    (
        "layout, 1 octet: 1 ID 16 bits and counter 48 bits",
        "reserved, 1 octet: 0",
        "number of subspaces, 2 octets: what the sender of the notify can receive; 0 means 65536",
    ),
    bytes.fromhex("01000010"),
    "16 subspaces",
)
HEADER_IN_TRAILER = Notify(
    "ESP_HEADER_IN_TRAILER",
    51205,
    ("variant, 1 octet: 1 with the trailer information in clear; echoed to accept",),
    b"\x01",
    "the variant built here",
)
