"""The numbers of p4src/common/ids.p4, written down a second time: a changed one is a broken
contract, and the tests must notice it."""

from __future__ import annotations

from enum import IntEnum

CRYPTO_PORT = 509
DROP_PORT = 511  # of v1model targets
CPU_PORT = 510
ETHERTYPE_CRYPTO = 0x88B5

REPLAY_CELLS = 524_288
SPACES = 65_536
SCRUB_CELLS_MAX = 16


class Role(IntEnum):
    """What a port is for (table ``port_role``)."""

    PROTECTED = 1
    UNPROTECTED = 2
    CRYPTO = 3
    CPU = 4


class Path(IntEnum):
    """Ways through the pipeline that ask for the engine (key of table ``crypto_port``)."""

    SEAL = 2
    OPEN = 4


class Drop(IntEnum):
    """Indices of the counter ``drops``."""

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
    """Indices of the counter ``punts`` and the meter ``punt_rate``; ``op`` of a punted packet."""

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
    """Indices of the counter ``outcomes``."""

    DROPPED = 0
    FORWARDED = 1
    TO_ENGINE = 2
    PUNTED = 3
    ANSWERED = 4


class Op(IntEnum):
    """``op`` of a packet-out."""

    SEND = 1
    ROUTE = 2
    INJECT = 3
    DUMMY = 4
    ECHO = 5
    READ_BOOT = 16
    READ_SEQ = 17
    SCRUB_SEQ = 18
    ADVANCE_SEQ = 19
    READ_TOP = 20
    SCRUB_TOP = 21
    READ_CELL = 22
    SCRUB_CELLS = 23


class ControlStatus(IntEnum):
    """``status`` of the answer to a control message."""

    OK = 0
    BAD_OP = 1
    BAD_INDEX = 2
    BACKWARD = 3
    NO_BOOT = 4


class Event(IntEnum):
    """``kind`` of an ``sa_event`` digest."""

    SOFT_LIMIT = 1
    HARD_LIMIT = 2
    PEER_MOVED = 3
    ACQUIRE = 4


class Mode(IntEnum):
    """What an SA protects; flag bits 4 and 5 of the crypto descriptor."""

    TUNNEL = 0
    TRANSPORT = 1
    BEET_V4 = 2
    BEET_V6 = 3


class Wrap(IntEnum):
    """WESP (RFC 5840)."""

    NONE = 0
    ENCRYPTED = 1
    VISIBLE = 2
    SECOND = 3


class Format(IntEnum):
    """How an SA's packets are laid out."""

    PLAIN = 0
    SUBSPACES = 1
    TRAILER_INSIDE = 2
    TRAILER_SHOWN = 3
    NO_TRAILER = 4
    HEADER_IN_TRAILER = 5
    CRYPT_OFFSET = 6
    SPI_BLOCK = 7
    WESP_V2 = 8
    EESP_OPTIMIZED = 9
    EESP_FULL = 10
    PSP = 11
    DIET = 12


class Spread(IntEnum):
    """What the members of an SA set share packets by."""

    FLOW = 0
    PORT = 1
    DSCP = 2


class Status(IntEnum):
    """Status codes of the crypto descriptor."""

    DONE = 0x00
    BAD_ICV = 0x01
    NO_KEY = 0x02
    STALE_GEN = 0x03
    NONCE_REFUSED = 0x04
    BAD_DESCRIPTOR = 0x05
    OVERLOAD = 0x06
    BAD_PADLEN = 0x41
    BAD_PAD = 0x42
    BAD_INNER = 0x43
    REQUEST = 0xFF


class EngineFaultError(Exception):
    """A packet the engine refuses, with the status to report."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


class Df(IntEnum):
    """Outer DF bit of a tunnel (RFC 4301 8.1)."""

    COPY = 0
    SET = 1
    CLEAR = 2
