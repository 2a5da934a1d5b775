"""EESP, full: with a payload info header, and perhaps a crypt offset in each packet."""

from p4esp.ipsec.formats.fields import (
    CRYPT_OFFSET_OPTION,
    EESP_BASE,
    ICV,
    IV_IN_AAD,
    PAD_OPTION,
    PAYLOAD_HIDDEN,
    PIH_HIDDEN,
    PIH_SHOWN,
    REST_SHOWN,
    SEQ64_NUMBERED,
    SHOWN,
    ZEROS,
)
from p4esp.ipsec.formats.model import (
    Format,
    Number,
    Option,
    Parameters,
    Spaces,
    TailUse,
    Target,
    Trailer,
)
from p4esp.ipsec.formats.sources import (
    EESP_DRAFT,
    EESP_PROPOSAL,
    EESP_PROTOCOL,
    MAX_CRYPT_OFFSET,
    MAX_SUB_SA_ID,
)
from p4esp.ipsec.formats.telling import told_by_eesp
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="eesp-full",
    title="EESP, full, with a crypt offset",
    number=Number.EESP_FULL,
    source=EESP_DRAFT,
    clear=(
        *EESP_BASE,
        *CRYPT_OFFSET_OPTION,
        PAD_OPTION,
        SEQ64_NUMBERED,
        IV_IN_AAD,
        *PIH_SHOWN,
        SHOWN,
    ),
    text=(*PIH_HIDDEN, PAYLOAD_HIDDEN, REST_SHOWN, ZEROS),
    tail=(ICV,),
    usual=Parameters(iv_len=8, shown=32, options=(Option.OFFSET,)),
    shown_header=4,
    nonce=("Sequence Number",),
    trailer=Trailer.TIH,
    spaces=Spaces.KEY_EACH,
    tail_use=TailUse.NOBODY,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(MAX_CRYPT_OFFSET, MAX_SUB_SA_ID),
    proposal=EESP_PROPOSAL,
    protocol=EESP_PROTOCOL,
    told=told_by_eesp,
    problem="As eesp-optimized, for payloads that do not say themselves what they are; and "
    "switches want the flow inside, from the packet alone.",
    layout_rule="As eesp-optimized, and in front of the payload a payload info header of 4 octets. "
    "It is encrypted, unless a Crypt Offset option says how many octets from it on are not. Where "
    "the payload must begin at a multiple of 8 octets, a PadN of 4 is added.",
    aad_rule="All in front of the ciphertext: base header, options, number, IV, and what is shown, "
    "payload info header first.",
    nonce_rule="As eesp-optimized.",
    trailer_rule="Payload info header: 4 bits 0, 12 reserved bits 0, next header, pad length. "
    "Padding is zero octets to a multiple of 4.",
    replay_rule="As eesp-optimized.",
    costs="With an explicit IV and a crypt offset 12 octets more than plain ESP; 4 for the payload "
    "info header and 4 for the option are in it. What is shown is public.",
    buys="All modes, dummy packets, and an offset that each packet tells by itself: a switch "
    "without keys or state reads type, addresses and ports, and cannot change them unnoticed.",
    limits="An offset above the negotiated maximum is dropped (BAD_OFFSET); so are other options "
    "than Crypt Offset, Pad1 and PadN, more than 8 octets of them, a Crypt Offset that begins "
    "within 4 octets of padding, and a Payload Offset that is not where the header ends "
    "(BAD_OPTION). A packet shorter than the offset is not sent. "
    "No UDP encapsulation here. AES-GCM and ChaCha20-Poly1305.",
)
