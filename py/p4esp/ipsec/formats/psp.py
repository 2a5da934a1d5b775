"""PSP: a key for each SPI, derived from a master key; all but the ICV in front, in UDP."""

from p4esp.ipsec.formats.fields import (
    COOKIE_HIDDEN,
    COOKIE_SHOWN,
    ICV,
    PAYLOAD_HIDDEN,
    PSP_BASE,
    REST_SHOWN,
    SHOWN,
)
from p4esp.ipsec.formats.model import Format, Number, Parameters, Spaces, TailUse, Target, Trailer
from p4esp.ipsec.formats.sources import PSP_PORT, PSP_SPECIFICATION
from p4esp.ipsec.formats.telling import told_by_psp
from p4esp.ipsec.sa import Mode

FORMAT = Format(
    name="psp",
    title="PSP security protocol",
    number=Number.PSP,
    source=PSP_SPECIFICATION,
    clear=(*PSP_BASE, *COOKIE_SHOWN, SHOWN),
    text=(*COOKIE_HIDDEN, PAYLOAD_HIDDEN, REST_SHOWN),
    tail=(ICV,),
    usual=Parameters(iv_len=8, align=1, shown=24, numbered=False),
    nonce=(),
    salt_field="SPI",
    trailer=Trailer.NONE,
    spaces=Spaces.ONE,
    tail_use=TailUse.NOBODY,
    modes=(Mode.TUNNEL, Mode.TRANSPORT),
    targets=tuple(Target),
    notifies=(),
    agreement="Not by IKE: whoever is to send asks the receiver for an SPI and its key, over a "
    "channel that is encrypted and authentic.",
    protocol=17,
    udp_port=PSP_PORT,
    told=told_by_psp,
    problem="A receiver with millions of connections cannot keep a key and a window for each.",
    layout_rule="In UDP to port 1000, checksum 0: a base header of 16 octets with next header, "
    "crypt offset, version, SPI and IV; a virtualization cookie of 8 octets where the SA has one; "
    "the payload, of which as many octets are in clear as the offset says, the cookie counted. The "
    "source port, 49152 to 49407, is the same for the packets of a flow, or fixed for the SA.",
    aad_rule="Base header and all that the crypt offset shows: everything in front of the "
    "ciphertext.",
    nonce_rule="SPI, then the IV, which is a counter of the SA's sender. The key is derived from "
    "version, SPI and one of two master keys: SP 800-108 in counter mode with AES-256-CMAC.",
    trailer_rule="None, and no padding: the next header stands in front, in clear.",
    replay_rule="None: a packet that comes again is accepted again, and the layer above must not "
    "mind. An SA may have a window over the IV, which is then a number of 37 bits.",
    costs="3 to 6 octets more than plain ESP, 8 more with a cookie; an SAD entry for each SPI, "
    "which says whose it is, and no register where we receive. Next header and offset are public. "
    "Replayed packets are delivered.",
    buys="A receiver without keys or state of its own for each sender: two master keys of 32 "
    "octets. Nothing to read at the end, nothing to pad. All keys change with a master key.",
    limits="Tunnel and transport mode; no BEET, no dummy packets, no pings, no TFC padding "
    "(NOT_IN_SA). "
    "Dropped are another version, length or cookie bit than the SA's, and reserved bits (BAD_PSP), "
    "an offset above what the SA shows or behind the end of the packet (BAD_OFFSET), another "
    "cookie (BAD_COOKIE), and what is marked to be dropped (DUMMY). A packet shorter than the "
    "offset is not sent. A descriptor reaches 255 octets: an offset above 208 octets over IPv4, "
    "188 over IPv6, is LONG_HEADERS. AES-GCM; the GMAC versions are not there.",
)
