"""The numbers that the pipeline and the controller agree on.

They mirror `p4src/common/ids.p4` and `p4src/common/sizes.p4`, whose comments explain them; a test
compares the two. Table, action and parameter names come from the p4info.
"""

from enum import IntEnum
from typing import Final

from p4esp.ipsec.formats.model import Number

CPU_PORT: Final = 510
CRYPTO_PORT: Final = 509

PROTO_ESP: Final = 50
PROTO_AGGFRAG: Final = 144

SIZE_SPD: Final = 4096
SIZE_SA: Final = 65536
SIZE_NEIGHBOUR: Final = 65536
SPACES: Final = 65536
PUNT_REASONS: Final = 16
REPLAY_CELLS: Final = 524288
SCRUB_CELLS_MAX: Final = 16

OUT_SEND: Final = 1
OUT_ROUTE: Final = 2
OUT_INJECT: Final = 3
OUT_DUMMY: Final = 4
OUT_ECHO: Final = 5


class Role(IntEnum):
    """What a port is for (`role_t`)."""

    PROTECTED = 1
    UNPROTECTED = 2
    CRYPTO = 3
    CPU = 4


class CryptoPath(IntEnum):
    """Ways through the pipeline that ask for the engine (`path_t`)."""

    SEAL = 2
    OPEN = 4


class Drop(IntEnum):
    """Why a packet was dropped (`drop_t`); also the index of its counter."""

    NONE = 0
    BAD_OUTER = 1
    OUTER_FRAGMENT = 2
    RUNT = 3
    BAD_SPI = 4
    NO_SA = 5
    SA_EXPIRED = 6
    ENCAP_MISMATCH = 7
    BAD_LENGTH = 8
    REPLAY_OLD = 9
    REPLAY_DUP = 10
    SEQ_ZERO = 11
    BAD_ICV = 12
    REPLAY_LATE = 13
    BAD_PADLEN = 14
    BAD_PAD = 15
    DUMMY = 16
    BAD_NH = 17
    BAD_INNER = 18
    ECN_DROP = 19
    BAD_SELECTOR = 20
    TTL = 21
    SEQ_RANGE = 22
    STALE_SA = 23
    FORGED_CX = 24
    NO_ENGINE = 25
    ENGINE_NO_KEY = 26
    ENGINE_STALE = 27
    NONCE_REFUSED = 28
    BAD_DESCRIPTOR = 29
    ENGINE_OVERLOAD = 30
    ENGINE_ERROR = 31
    CLEAR_IN = 32
    CLEAR_OUT = 33
    HAIRPIN = 34
    POLICY_DISCARD = 35
    ACQUIRE = 36
    NO_ROUTE = 37
    NO_NEIGHBOUR = 38
    NO_EGRESS = 39
    NO_ROLE = 40
    MALFORMED = 41
    NOT_IP = 42
    KEEPALIVE = 43
    PUNT_LIMITED = 44
    BAD_PACKET_OUT = 45
    NOT_FOR_US = 46
    TOO_BIG = 47
    BAD_BEET_PH = 48
    INNER_FRAGMENT = 49
    NOT_IN_SA = 50
    LONG_HEADERS = 51
    UNSEEN_PORTS = 52
    BAD_SUB = 53
    BAD_OFFSET = 54
    BAD_TIH = 55
    BAD_VERSION = 56
    BAD_OPTION = 57
    BAD_ECHO = 58
    ECHO_LIMITED = 59
    NO_ECHO = 60
    BAD_PSP = 61
    BAD_COOKIE = 62
    BAD_RESIDUE = 63
    BAD_TEMPLATE = 64
    BAD_LABEL = 66


class Punt(IntEnum):
    """Why a packet comes to the controller (`punt_t`); also the index of its meter."""

    NONE = 0
    IKE_NEW = 1
    IKE_KNOWN = 2
    IKE_OTHER = 3
    ARP = 4
    LOCAL = 5
    ACQUIRE = 6
    TTL = 7
    NO_NEIGHBOUR = 8
    ND = 9
    TOO_BIG = 10
    PATH_MTU = 11
    ECHO = 12
    SEALED_ECHO = 13
    FRAGMENT = 14


class Outcome(IntEnum):
    """What became of a packet (`outcome_t`)."""

    DROPPED = 0
    FORWARDED = 1
    TO_ENGINE = 2
    PUNTED = 3
    ANSWERED = 4


class SaEvent(IntEnum):
    """Kinds of `sa_event_t` digests (`event_t`)."""

    NONE = 0
    SOFT_LIMIT = 1
    HARD_LIMIT = 2
    PEER_MOVED = 3
    ACQUIRE = 4
    """`peer_low` is the bucket that wants an SA of its own."""


class Control(IntEnum):
    """Operations of control messages (`packet_out.op`)."""

    READ_BOOT = 16
    READ_SEQ = 17
    SCRUB_SEQ = 18
    ADVANCE_SEQ = 19
    READ_TOP = 20
    SCRUB_TOP = 21
    READ_CELL = 22
    SCRUB_CELLS = 23


class Mode(IntEnum):
    """What an SA protects (`mode_t`)."""

    TUNNEL = 0
    TRANSPORT = 1
    BEET_V4 = 2
    BEET_V6 = 3


class Wrap(IntEnum):
    """What its packets are wrapped in (`wesp_t`, RFC 5840)."""

    NONE = 0
    ENCRYPTED = 1
    VISIBLE = 2
    SECOND = 3


Format = Number
"""How an SA's packets are laid out (`format_t`)."""


class Spread(IntEnum):
    """Which member of an SA set, or subspace of an SA, takes a packet (`spread_t`, RFC 9611)."""

    FLOW = 0
    PORT = 1
    DSCP = 2


class ControlStatus(IntEnum):
    """Outcome of a control message (`ctl_status_t`)."""

    OK = 0
    BAD_OP = 1
    BAD_INDEX = 2
    BACKWARD = 3
    NO_BOOT = 4


class DfMode(IntEnum):
    """What becomes of the DF bit in a tunnel's outer header (RFC 4301 8.1)."""

    COPY = 0
    SET = 1
    CLEAR = 2
