"""Sub-child SAs: several counters under one SA, each with a key of its own."""

from p4esp.ipsec.formats.fields import ICV, IV, RFC4303_TEXT, SEQ48, SPI, SUB_ID
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import SUB_CHILD_SAS, sub_child_sa
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="sub-child",
    title="Sub-child SAs, ID in the header",
    number=Number.SUBSPACES,
    source=SUB_CHILD_SAS,
    clear=(SPI, SUB_ID, SEQ48, IV),
    text=RFC4303_TEXT,
    tail=(ICV,),
    usual=Parameters(iv_len=0),
    nonce=("Sub ID", "Sequence Number"),
    trailer=Trailer.RFC4303,
    spaces=Spaces.KEY_EACH,
    tail_use=TailUse.ENGINE,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(sub_child_sa(1, "ID in the header, IDs 0 to 3, keys by HKDF-SHA2-256"),),
    problem="Cores, paths and traffic classes share one counter and one window, or need an SA pair "
    "each, and an IKE exchange for it.",
    layout_rule="The 64 bits behind the SPI are a sub ID of 16 bits and a counter of 48.",
    aad_rule="SPI, sub ID and sequence number, 12 octets.",
    nonce_rule="Salt of the sub SA, sub ID, 48-bit number: they are the implicit IV. Sub SA i has "
    "key and salt HKDF-Expand(SHA-256, root, i as 2 octets, key length + 4).",
    trailer_rule="As RFC 4303.",
    replay_rule="A window for each sub SA; an ID above the negotiated maximum is dropped before "
    "anything else (BAD_SUB).",
    costs="4 octets less than plain ESP with an explicit IV, 4 more than with an implicit one. A "
    "counter, a window and a key for each sub SA.",
    buys="Cores, paths and classes no longer contend or reorder across each other, with one IKE "
    "exchange for all. A counter may repeat on two sub SAs: their keys differ.",
    limits="A sub SA is never rekeyed alone. Boxes that read a 32-bit sequence number read the ID.",
)
