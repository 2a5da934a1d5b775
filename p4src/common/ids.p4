// Every number that the pipeline, the controller and the engine agree on.
// Values are never reused: a retired name keeps its number.
#ifndef P4ESP_IDS
#define P4ESP_IDS

// Ports with a fixed meaning. The parser branches on them, never on an ethertype.
const bit<9> CPU_PORT    = 510;
const bit<9> CRYPTO_PORT = 509;
// From here on no port is a wire: the two above, and the target's own drop port.
const bit<9> FIRST_RESERVED_PORT = 509;

const bit<16> ETHERTYPE_IPV4   = 0x0800;
const bit<16> ETHERTYPE_ARP    = 0x0806;
const bit<16> ETHERTYPE_VLAN   = 0x8100;
const bit<16> ETHERTYPE_IPV6   = 0x86DD;
// IEEE 802 local experimental: no host stack takes a frame to the engine for IP.
const bit<16> ETHERTYPE_CRYPTO = 0x88B5;

const bit<8> PROTO_HOPOPT   = 0;
const bit<8> PROTO_ICMP     = 1;
const bit<8> PROTO_IPV4     = 4;
const bit<8> PROTO_TCP      = 6;
const bit<8> PROTO_UDP      = 17;
const bit<8> PROTO_IPV6     = 41;
const bit<8> PROTO_ROUTING  = 43;
const bit<8> PROTO_FRAGMENT = 44;
const bit<8> PROTO_ESP      = 50;
const bit<8> PROTO_ICMPV6   = 58;
const bit<8> PROTO_NONE     = 59;    // RFC 4303 2.6: dummy packet
const bit<8> PROTO_AGGFRAG  = 144;   // RFC 9347; the payload of an encrypted ESP ping
const bit<8> PROTO_DSTOPTS  = 60;
const bit<8> PROTO_BEET_PH  = 94;    // RFC 7402 B.1.7: IPv4 options of a BEET packet
const bit<8> PROTO_SCTP     = 132;
const bit<8> PROTO_WESP     = 141;
// What the SAD calls PSP, which travels in UDP.
const bit<8> PROTO_PSP      = 252;
// RFC 3692 experiment: EESP, and ESP whose header stands in the trailer.
const bit<8> PROTO_EESP     = 253;
const bit<8> PROTO_TAIL     = 254;

const bit<16> UDP_IKE       = 500;
const bit<16> UDP_IKE_NAT_T = 4500;
const bit<16> UDP_PSP       = 1000;
// draft-colitti-ipsecme-esp-ping: SPIs of no SA.
// Types of EESP options.
const bit<8> EESP_PAD_1  = 0;
const bit<8> EESP_PAD_N  = 1;
const bit<8> EESP_OFFSET = 2;

const bit<32> SPI_ECHO_REQUEST = 7;
const bit<32> SPI_ECHO_REPLY   = 8;
// RFC 5840 2.1: stands behind UDP where an SPI would, when WESP follows.
const bit<32> WESP_MARKER   = 2;

// What a port is for (table port_role).
enum bit<8> role_t {
    NONE        = 0,
    PROTECTED   = 1,   // clear traffic of our site
    UNPROTECTED = 2,   // the network in which only ESP is safe
    CRYPTO      = 3,
    CPU         = 4
}

// Which way a packet takes through the pipeline; chosen once, in classify.
enum bit<8> path_t {
    NONE    = 0,
    PLAIN   = 1,    // subject to the SPD
    SEAL    = 2,    // to be protected: pass 1, outbound
    SEALED  = 3,    // the engine's answer: pass 2, outbound
    OPEN    = 4,    // ESP addressed to us: pass 1, inbound
    OPENED  = 5,    // the engine's answer: pass 2, inbound
    FORWARD = 6,    // bypassed by policy
    HOST    = 7,    // from the controller, to be routed
    SEND    = 8,    // from the controller, to a named port
    CONTROL = 9,    // control message about the state of an SA
    PUNT    = 10,   // for the controller
    CUT     = 11    // comes again, for the parser to cut it (Diet-ESP)
}

// What the layer above IP looks like (set by the parser).
enum bit<8> l4_t {
    OTHER     = 0,
    PORTS     = 1,
    ESP       = 2,
    ESP_UDP   = 3,
    IKE       = 4,
    KEEPALIVE = 5,   // RFC 3948 2.3
    NATT_RUNT = 6,   // port 4500, too short for ESP or IKE
    WESP      = 7,
    WESP_UDP  = 8,
    TAIL      = 9,
    EESP      = 10,
    ECHO      = 11,  // ESP ping: a request
    ECHOED    = 12,  // its reply
    PSP       = 13
}

// What an SA protects (RFC 4301 4.1, RFC 7402 B). The same two bits travel in cx.flags.
enum bit<8> mode_t {
    TUNNEL    = 0,
    TRANSPORT = 1,
    BEET_V4   = 2,   // the inner packet is IPv4
    BEET_V6   = 3
}

// RFC 5840: what an SA's packets are wrapped in.
enum bit<8> wesp_t {
    NONE      = 0,
    ENCRYPTED = 1,   // all fields zero, but for the E flag
    VISIBLE   = 2,   // integrity only: the fields tell where the clear payload is
    SECOND    = 3    // version 2, which the ICV covers: formats/wesp_v2.p4
}

// How an SA's packets are laid out: formats/. Above PLAIN, tables format_out and format_in say more.
enum bit<8> format_t {
    PLAIN             = 0,   // RFC 4303
    SUBSPACES         = 1,   // 16 bits of subspace and 48 of counter in place of the sequence number
    TRAILER_INSIDE    = 2,   // the trailer's facts in front of the payload, encrypted
    TRAILER_SHOWN     = 3,   // the same in clear
    NO_TRAILER        = 4,   // the inner packet says what it is and how long
    HEADER_IN_TRAILER = 5,
    CRYPT_OFFSET      = 6,   // the first octets of the payload in clear
    SPI_BLOCK         = 7,   // consecutive SPIs, a sequence space and a key each
    WESP_V2           = 8,
    EESP_OPTIMIZED    = 9,   // without trailer information
    EESP_FULL         = 10,
    PSP               = 11,
    DIET              = 12
}

// What a Diet-ESP SA knows of its packets: formats/diet_esp.p4. HOST and SITE say nothing of layer 4.
enum bit<8> diet_t {
    NONE    = 0,
    UDP_V4  = 1,   // one flow: addresses and ports
    TCP_V4  = 2,
    HOST_V4 = 3,   // two addresses
    SITE_V4 = 4,   // two prefixes of 24 bits
    UDP_V6  = 5,
    TCP_V6  = 6,
    HOST_V6 = 7,
    SITE_V6 = 8    // two prefixes of 64 bits
}

// What the parser takes out of a packet that comes again: up to 8, so many octets of a compressed ESP
// header.
const bit<8> CUT_UDP = 17;
const bit<8> CUT_TCP = 18;

// Which member of an SA set (RFC 9611), or which subspace of an SA, takes a packet.
enum bit<8> spread_t {
    FLOW = 0,
    PORT = 1,   // ingress port
    DSCP = 2
}

// Crypto port operations and status codes: docs/crypto-port.md.
const bit<8> CX_SEAL         = 0x01;
const bit<8> CX_OPEN         = 0x02;
const bit<8> CX_SEALED       = 0x81;
const bit<8> CX_OPENED       = 0x82;
const bit<8> CX_FLAG_ESN     = 0x01;
const bit<8> CX_FLAG_TRAILER = 0x02;
const bit<8> CX_FLAG_TRIM    = 0x04;
const bit<8> CX_FLAG_FILL    = 0x08;
const bit<8> CX_FLAG_SHOWN   = 0x40;
const bit<8> CX_FLAG_TIH     = 0x80;
const bit<8> CX_FLAGS_TEXT   = 0xC2;   // what the text looks like: TRAILER, SHOWN, TIH
const bit<8> CX_MODE_SHIFT   = 4;
const bit<8> CX_DONE           = 0x00;
const bit<8> CX_BAD_ICV        = 0x01;
const bit<8> CX_NO_KEY         = 0x02;
const bit<8> CX_STALE_GEN      = 0x03;
const bit<8> CX_NONCE_REFUSED  = 0x04;
const bit<8> CX_BAD_DESCRIPTOR = 0x05;
const bit<8> CX_OVERLOAD       = 0x06;
const bit<8> CX_BAD_PADLEN     = 0x41;
const bit<8> CX_BAD_PAD        = 0x42;
const bit<8> CX_BAD_INNER      = 0x43;
const bit<8> CX_REQUEST        = 0xFF;
// Set in the status of a packet that was authentic and is refused all the same.
const bit<8> CX_AUTHENTIC    = 0x40;

// Why a packet was dropped: the order of the inbound checks first (RFC 4301 5.2, RFC 4303 3.4).
enum bit<8> drop_t {
    NONE             = 0,
    BAD_OUTER        = 1,
    OUTER_FRAGMENT   = 2,
    RUNT             = 3,
    BAD_SPI          = 4,
    NO_SA            = 5,
    SA_EXPIRED       = 6,
    ENCAP_MISMATCH   = 7,    // WESP; plain and UDP-wrapped ESP never mismatch (RFC 7296 2.23)
    BAD_LENGTH       = 8,
    REPLAY_OLD       = 9,
    REPLAY_DUP       = 10,
    SEQ_ZERO         = 11,
    BAD_ICV          = 12,
    REPLAY_LATE      = 13,
    BAD_PADLEN       = 14,
    BAD_PAD          = 15,
    DUMMY            = 16,
    BAD_NH           = 17,
    BAD_INNER        = 18,
    ECN_DROP         = 19,
    BAD_SELECTOR     = 20,
    TTL              = 21,
    SEQ_RANGE        = 22,
    STALE_SA         = 23,
    FORGED_CX        = 24,
    NO_ENGINE        = 25,
    ENGINE_NO_KEY    = 26,
    ENGINE_STALE     = 27,
    NONCE_REFUSED    = 28,
    BAD_DESCRIPTOR   = 29,
    ENGINE_OVERLOAD  = 30,
    ENGINE_ERROR     = 31,
    CLEAR_IN         = 32,
    CLEAR_OUT        = 33,
    HAIRPIN          = 34,
    POLICY_DISCARD   = 35,
    ACQUIRE          = 36,
    NO_ROUTE         = 37,
    NO_NEIGHBOUR     = 38,
    NO_EGRESS        = 39,
    NO_ROLE          = 40,
    MALFORMED        = 41,
    NOT_IP           = 42,
    KEEPALIVE        = 43,
    PUNT_LIMITED     = 44,
    BAD_PACKET_OUT   = 45,
    NOT_FOR_US       = 46,   // destination MAC of somebody else
    TOO_BIG          = 47,   // sealed, it would not fit the path
    BAD_BEET_PH      = 48,
    INNER_FRAGMENT   = 49,   // transport mode and BEET take no fragments
    NOT_IN_SA        = 50,   // another family, or not the pair of hosts of a transport mode SA
    LONG_HEADERS     = 51,   // the text begins farther in than a descriptor can say
    UNSEEN_PORTS     = 52,   // a later fragment, where policy turns on ports
    BAD_SUB          = 53,   // a subspace that was not negotiated
    BAD_OFFSET       = 54,   // shorter than what the SA shows in clear
    BAD_TIH          = 55,   // a trailer information header that disagrees with the packet
    BAD_VERSION      = 56,   // of EESP, or a reserved bit
    BAD_OPTION       = 57,   // of EESP: none that the SA has, or one that lies about lengths
    BAD_ECHO         = 58,   // ESP ping: unknown, in a wrong name, or its lengths do not agree
    ECHO_LIMITED     = 59,   // more of them than are answered
    NO_ECHO          = 60,   // they are not answered at this address
    BAD_PSP          = 61,   // of another version or layout than the SA has, or a reserved bit
    BAD_COOKIE       = 62,   // an authentic PSP packet of another virtual network
    BAD_RESIDUE      = 63,   // Diet-ESP: authentic, and no packet
    BAD_TEMPLATE     = 64,   // Diet-ESP: not what the SA compresses
    BAD_LABEL        = 66    // for a host of another security label (RFC 9478)
}

// Why a packet goes to the controller; also the index of its meter (of the second set, from
// PUNT_REASONS on, unless it came in by an unprotected port).
enum bit<8> punt_t {
    NONE         = 0,
    IKE_NEW      = 1,   // responder SPI zero
    IKE_KNOWN    = 2,   // of a live IKE SA
    IKE_OTHER    = 3,
    ARP          = 4,
    LOCAL        = 5,
    ACQUIRE      = 6,
    TTL          = 7,
    NO_NEIGHBOUR = 8,
    ND           = 9,   // RFC 4861
    TOO_BIG      = 10,
    PATH_MTU     = 11,  // ICMP "too big", addressed to us
    ECHO         = 12,  // the reply to an ESP ping
    SEALED_ECHO  = 13,  // an encrypted ESP ping, opened: a request or a reply
    FRAGMENT     = 14   // the first fragment of a packet to us, dropped, where that is wanted
}

// What became of a packet: the sum over all outcomes is the number of packets received.
enum bit<8> outcome_t {
    DROPPED   = 0,
    FORWARDED = 1,
    TO_ENGINE = 2,
    PUNTED    = 3,
    ANSWERED  = 4    // control message
}

enum bit<8> replay_op_t {
    NONE   = 0,
    CHECK  = 1,   // pass 1: read only
    COMMIT = 2    // pass 2: authenticated
}

// Kinds of sa_event digests.
enum bit<8> event_t {
    NONE       = 0,
    SOFT_LIMIT = 1,
    HARD_LIMIT = 2,
    PEER_MOVED = 3,   // an authentic packet, newer than any before, from another address or port
    ACQUIRE    = 4    // a bucket that wants an SA of its own sends; its number is in peer_low
}

// packet_out.op
const bit<8> OUT_SEND          = 1;
const bit<8> OUT_ROUTE         = 2;
const bit<8> OUT_INJECT        = 3;   // as if it had come in at `port`
const bit<8> OUT_DUMMY         = 4;   // RFC 4303 2.6: sealed by SA `index`, next header 59
const bit<8> OUT_ECHO          = 5;   // an encrypted ESP ping: likewise, next header 144
const bit<8> CTL_READ_BOOT     = 16;
const bit<8> CTL_READ_SEQ      = 17;
const bit<8> CTL_SCRUB_SEQ     = 18;
const bit<8> CTL_ADVANCE_SEQ   = 19;
const bit<8> CTL_READ_TOP      = 20;
const bit<8> CTL_SCRUB_TOP     = 21;
const bit<8> CTL_READ_CELL     = 22;
const bit<8> CTL_SCRUB_CELLS   = 23;

// packet_in.status of a control message's answer
enum bit<8> ctl_status_t {
    OK        = 0,
    BAD_OP    = 1,
    BAD_INDEX = 2,
    BACKWARD  = 3,   // ADVANCE_SEQ to a number already passed
    NO_BOOT   = 4    // the boot entry is missing
}

// Outer DF bit of a tunnel (RFC 4301 8.1).
const bit<2> DF_COPY  = 0;
const bit<2> DF_SET   = 1;
// DF_CLEAR = 2, and 3 means the same.

#endif
