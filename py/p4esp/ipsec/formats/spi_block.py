"""Sub-child SAs without any change on the wire: the SPI says which."""

from p4esp.ipsec.formats.fields import ICV, IV, RFC4303_TEXT, SEQ_OF_SUB, SPI_OF_BLOCK
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import SUB_CHILD_SAS, sub_child_sa
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="spi-block",
    title="Sub-child SAs, a block of SPIs",
    number=Number.SPI_BLOCK,
    source=SUB_CHILD_SAS,
    clear=(SPI_OF_BLOCK, SEQ_OF_SUB, IV),
    text=RFC4303_TEXT,
    tail=(ICV,),
    usual=Parameters(iv_len=8),
    nonce=("Sequence Number",),
    trailer=Trailer.RFC4303,
    spaces=Spaces.KEY_EACH,
    tail_use=TailUse.ENGINE,
    modes=(Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET),
    targets=tuple(Target),
    notifies=(sub_child_sa(2, "a block of 4 SPIs, keys by HKDF-SHA2-256"),),
    problem="As sub-child, where boxes on the path must see plain ESP.",
    layout_rule="RFC 4303. The receiver gives 2^k consecutive SPIs to one SA; the sub ID is the "
    "SPI less the first of them.",
    aad_rule="As RFC 4303.",
    nonce_rule="As RFC 4303, with key and salt of the sub SA (HKDF as sub-child).",
    trailer_rule="As RFC 4303.",
    replay_rule="A window for each SPI of the block.",
    costs="No octet more than plain ESP. A SAD entry, a counter, a window and a key for each SPI, "
    "and SPIs.",
    buys="Counters and windows of their own through every middlebox, and ECMP by SPI for nothing.",
    limits="At most 2^8 SPIs in a block are sensible; the block is aligned to its size.",
)
