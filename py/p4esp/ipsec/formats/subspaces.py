"""Anti-replay subspaces: several counters under one key."""

from p4esp.ipsec.formats.fields import ICV, IV, RFC4303_TEXT, SEQ48, SPI, SUBSPACE_ID
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import PONCHON, REPLAY_SUBSPACES
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="subspaces",
    title="Anti-replay subspaces",
    number=Number.SUBSPACES,
    source=PONCHON,
    clear=(SPI, SUBSPACE_ID, SEQ48, IV),
    text=RFC4303_TEXT,
    tail=(ICV,),
    usual=Parameters(iv_len=0),
    nonce=("Subspace ID", "Sequence Number"),
    trailer=Trailer.RFC4303,
    spaces=Spaces.SHARED_KEY,
    tail_use=TailUse.ENGINE,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(REPLAY_SUBSPACES,),
    problem="Two paths of unequal delay share one window: what comes by the slow one has fallen "
    "out of it.",
    layout_rule="The 64 bits behind the SPI are a subspace ID of 16 bits and a counter of 48.",
    aad_rule="SPI, subspace ID and sequence number, 12 octets.",
    nonce_rule="Salt, subspace ID, 48-bit number: they are the implicit IV, so two subspaces with "
    "the same number never share a nonce.",
    trailer_rule="As RFC 4303.",
    replay_rule="A window for each subspace; an ID of the number of subspaces or above is dropped "
    "before anything else (BAD_SUB).",
    costs="4 octets less than plain ESP with an explicit IV, 4 more than with an implicit one. A "
    "counter and a window for each subspace; no key.",
    buys="Paths, cores and classes have windows of their own: skew between them loses nothing.",
    limits="The limit of the one key counts for the sum of all subspaces.",
)
