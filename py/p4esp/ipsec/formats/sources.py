"""Where formats come from, and the IKE notifies that negotiate them.

Every number here but those of RFCs is private, sent only behind the switch "experimental" and
with a vendor ID.
"""

from __future__ import annotations

from p4esp.ipsec.formats.model import Notify, Proposal, Source

RFC4303 = Source("RFC 4303", "RFC 4303, with AES-GCM as in RFC 4106 and RFC 8750", ours=False)
RFC5840 = Source("RFC 5840", "RFC 5840, with AES-GMAC as in RFC 4543", ours=False)
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

WESP_V2_DRAFT = Source(
    "wespv2-01, gaps ours",
    "draft-klassert-ipsecme-wespv2-01 (text); where it is open, our choice: the order of the AAD "
    "(header, options, SPI, number, IV, payload shown), the offset in the notify as the most that "
    "its sender accepts, one offset for the SA, no option but PadN, BEET as transport mode; the "
    "number of the notify is private",
    ours=False,
)
EESP_DRAFT = Source(
    "eesp-04, gaps ours",
    "draft-ietf-ipsecme-eesp-04 (text) and draft-ietf-ipsecme-eesp-ikev2-02; where they are open, "
    "our choice: a direction with a maximum crypt offset always has the full format, its option "
    "has 2 octets of data, unknown options and a wrong Payload Offset are dropped, the session ID "
    "is 2 octets of the key derivation, which makes key and salt, and 0 without it, and IDs above "
    "the maximum are always dropped; IP protocol and IKE numbers are not allocated: ours are "
    "private",
    ours=False,
)
PSP_SPECIFICATION = Source(
    "google/psp, gaps ours",
    "PSP architecture specification, google/psp (text and code); where it leaves things open, our "
    "choice: nothing is sampled, so that the S bit says nothing and a packet with the D bit is "
    "dropped once it is verified, no header extension but the cookie, SPIs below 256 are not used, "
    "a window over the IV where the SA has one, 256 source ports; reserved bits must be 0, which "
    "the specification would have ignored",
    ours=False,
)
PSP_PORT = 1000
EESP_PROTOCOL = 253
"""RFC 3692: for experiments."""
EESP_SECURITY_PROTOCOL = 201
"""EESPv0 in IKE: a private security protocol identifier."""
WHOLE_NUMBERS, NO_NUMBERS = 1024, 1025
"""What EESP may have of transform type 5, sequence numbers: those of the authors' code."""
SSKDF, SSKDF_NONE, SSKDF_HKDF_SHA2_256 = 241, 0, 1
"""The transform type that derives keys of sub SAs, also that of the authors' code, and its IDs."""
DIET_DRAFT = Source(
    "diet-esp-07, gaps ours",
    "draft-ietf-ipsecme-diet-esp-07 (text) and draft-ietf-ipsecme-ikev2-diet-esp-extension; where "
    "they are open, our choice: fixed templates, widths of 8, 16, 24 and 32 bits, IPv4 flags and "
    "fragment offset are sent, the identification of a flow is generated and other identifications "
    "and flow labels are sent, what of a TCP header is not elided stands byte aligned behind the "
    "residue, the hop limit goes through the outer header, the smallest number above the window's "
    "end is taken, never in UDP; the number of the notify is private, and so are the codes of "
    "trailer and range",
    ours=False,
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
USE_WESP = Notify("USE_WESP_MODE", 16415, (), b"", "echoed to accept")
USE_WESP_V2 = Notify(
    "USE_WESPv2_MODE",
    51207,
    (
        "capabilities, 1 octet: bit 0 reserved, bit 1 flow ID supported, bits 2 to 7 maximum in "
        "units of 4 octets that the sender of the notify accepts in clear; echoed to accept",
    ),
    b"\x07",
    "at most 28 octets, no flow ID",
)
MAX_SUB_SA_ID = Notify(
    "EESP_MAX_SUB_SA_ID",
    51201,
    ("highest ID, 2 octets: what the sender of the notify can receive; not echoed",),
    bytes.fromhex("0003"),
    "IDs 0 to 3",
)
MAX_CRYPT_OFFSET = Notify(
    "EESP_MAX_CRYPT_OFFSET",
    51202,
    (
        "maximum, 1 octet: units of 4 octets, up to 63, that the sender of the notify accepts in "
        "clear; not echoed; without it the peer must show nothing",
    ),
    b"\x08",
    "at most 32 octets",
)
HCP_PROPOSAL = Notify(
    "HCP_PROPOSAL",
    52050,
    (
        "proposals: ID and name, an octet each (0 Diet-ESP), length of what follows, 2 octets, and "
        "attributes as those of transforms",
        "0 DSCP, 1 ECN, 2 flow label or identification: 0 sent, 2 of the last generated",
        "3 alignment: 0 8 bits, 2 32 bits",
        "4 bits sent of the SPI",
        "5 bits sent of the sequence number",
        "6 ESP trailer: 0 sent, 1 not",
        "32767 range: the least and the greatest of an attribute; in an offer only",
    ),
    bytes.fromhex("01000010 80030000 80040008 80050008 80060001"),
    "Diet-ESP, 8 bits of SPI and of number, no trailer",
)
EESP_PROPOSAL = Proposal(
    EESP_SECURITY_PROTOCOL,
    (
        "encryption, type 1: AEAD only",
        f"sequence numbers, type 5: {WHOLE_NUMBERS} for 64 bits, {NO_NUMBERS} for none, which an "
        "implicit IV forbids",
        f"SSKDF, type {SSKDF}: {SSKDF_HKDF_SHA2_256} HKDF-SHA2-256; without it there are no sub "
        "SAs",
        "key exchange, type 4: optional",
    ),
    bytes.fromhex(
        "0000002c 00000028 01c90403 00001001 0300000c 01000014 800e0100 03000008 f1000001 "
        "00000008 05000400"
    ),
    "SPI 0x1001, AES-GCM-16 with 256 bits, HKDF-SHA2-256, 64-bit numbers",
)
