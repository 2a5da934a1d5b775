"""EESP, optimized: all of the header in front, no trailer, no next header. For tunnels."""

from p4esp.ipsec.formats.fields import (
    EESP_BASE,
    ICV,
    INNER,
    IV_IN_AAD,
    PAD_OPTION,
    SEQ64_NUMBERED,
    ZEROS,
)
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import EESP_DRAFT, EESP_PROPOSAL, EESP_PROTOCOL, MAX_SUB_SA_ID
from p4esp.ipsec.formats.telling import told_by_eesp
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="eesp-optimized",
    title="EESP, optimized",
    number=Number.EESP_OPTIMIZED,
    source=EESP_DRAFT,
    clear=(*EESP_BASE, PAD_OPTION, SEQ64_NUMBERED, IV_IN_AAD),
    text=(INNER, ZEROS),
    tail=(ICV,),
    usual=Parameters(iv_len=0),
    nonce=("Sequence Number",),
    trailer=Trailer.INNER,
    spaces=Spaces.KEY_EACH,
    tail_use=TailUse.NOBODY,
    modes=(Mode.TUNNEL,),
    targets=tuple(Target),
    notifies=(MAX_SUB_SA_ID,),
    proposal=EESP_PROPOSAL,
    protocol=EESP_PROTOCOL,
    told=told_by_eesp,
    problem="ESP has no version and no room: one counter of which half is sent, no identifier for "
    "paths and cores, the trailer last. In a tunnel next header and pad length are said twice.",
    layout_rule="A base header with version, session ID and SPI, options, the 64-bit number, the "
    "explicit IV if there is one, then the encrypted inner packet; IP protocol 253. The first "
    "octet is always 0x80.",
    aad_rule="All in front of the ciphertext: base header, options, number, and the IV, which "
    "RFC 4106 leaves out.",
    nonce_rule="Salt of the sub SA, then the explicit IV, or the 64-bit number as implicit IV. Sub "
    "SA i has key and salt HKDF-Expand(SHA-256, root, i as 2 octets, key length + 4).",
    trailer_rule="None. Zero octets to a multiple of 4 behind the inner packet, whose own header "
    "says what it is and where it ends.",
    replay_rule="A window for each sub SA, over 64 bits. Without sequence numbers there is no "
    "window, and the IV must be explicit. A session above the negotiated maximum is dropped before "
    "anything else (BAD_SUB).",
    costs="4 octets more than plain ESP with an implicit IV, 4 less than with an explicit one. A "
    "counter, a window and a key for each sub SA.",
    buys="A version, options, and the number in full; cores and paths with counters of their own; "
    "nothing to read at the end. A switch steers by session ID without a key.",
    limits="Tunnel mode only; no dummy packets and no TFC padding are sent, though any padding is "
    "taken. AES-GCM and ChaCha20-Poly1305. Dropped are other versions and reserved bits "
    "(BAD_VERSION), and all options but 4 or 8 octets of padding (BAD_OPTION). No UDP "
    "encapsulation here.",
)
