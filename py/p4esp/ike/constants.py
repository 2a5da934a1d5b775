"""Numbers of the IANA IKEv2 registry that this daemon knows by name."""

from enum import IntEnum

from p4esp.ipsec.formats import sources

HEADER_SIZE = 28
VERSION = 0x20
NO_SPI = bytes(8)
"""SPI of a side that has not chosen one yet."""
OWN_NONCE_SIZE = 32
"""Octets of our nonces: half the key of the largest PRF, as RFC 7296 2.10 asks for."""

SSKDF_NONE = sources.SSKDF_NONE
SSKDF_HKDF_SHA2_256 = sources.SSKDF_HKDF_SHA2_256
INTEG_NONE = 0
KE_NONE = 0


class ExchangeType(IntEnum):
    """Exchange types (RFC 7296 3.1)."""

    IKE_SA_INIT = 34
    IKE_AUTH = 35
    CREATE_CHILD_SA = 36
    INFORMATIONAL = 37
    IKE_SESSION_RESUME = 38
    IKE_INTERMEDIATE = 43
    IKE_FOLLOWUP_KE = 44


OPENINGS = (ExchangeType.IKE_SA_INIT, ExchangeType.IKE_SESSION_RESUME)
"""Exchanges that begin an IKE SA, in clear: the second behaves like the first where nothing else is
said (RFC 5723 4.3.2).
"""


class PayloadType(IntEnum):
    """Payload types (RFC 7296 3.2)."""

    NONE = 0
    SA = 33
    KE = 34
    IDI = 35
    IDR = 36
    CERT = 37
    CERTREQ = 38
    AUTH = 39
    NONCE = 40
    NOTIFY = 41
    DELETE = 42
    VENDOR = 43
    TSI = 44
    TSR = 45
    SK = 46
    CP = 47
    EAP = 48
    SKF = 53


class ProtocolId(IntEnum):
    """Security protocol identifiers (RFC 7296 3.3.1)."""

    NONE = 0
    IKE = 1
    AH = 2
    ESP = 3
    EESP = sources.EESP_SECURITY_PROTOCOL
    """Private, and counts from a peer with our vendor ID."""


class TransformType(IntEnum):
    """Transform types (RFC 7296 3.3.2, RFC 9370 3)."""

    ENCR = 1
    PRF = 2
    INTEG = 3
    KE = 4
    SN = 5
    ADDKE1 = 6
    ADDKE2 = 7
    ADDKE3 = 8
    ADDKE4 = 9
    ADDKE5 = 10
    ADDKE6 = 11
    ADDKE7 = 12
    SSKDF = sources.SSKDF
    """Private, of EESP alone: what derives the keys of sub SAs."""


class SequenceNumbers(IntEnum):
    """IDs of transform type SN (RFC 9827): what numbers packets have, and how much of them is sent.

    The numbers of EESP are none of ESP's, and the other way round.
    """

    SHORT = 0
    """32-bit Sequential Numbers."""
    EXTENDED = 1
    """Partially Transmitted 64-bit Sequential Numbers: the low half is sent."""
    UNSPECIFIED = 2
    """32-bit Unspecified Numbers, of group SAs alone (RFC 9838): no template has it."""
    WHOLE = sources.WHOLE_NUMBERS
    """64-bit Sequential Numbers of EESP; private, as is the next."""
    NONE = sources.NO_NUMBERS
    """EESP without numbers."""


ADDKE_TYPES = tuple(TransformType(n) for n in range(TransformType.ADDKE1, 13))
"""In the order in which the exchanges run."""
KE_TYPES = (TransformType.KE, *ADDKE_TYPES)


class AttributeType(IntEnum):
    """Transform attribute types (RFC 7296 3.3.5)."""

    KEY_LENGTH = 14


class AuthMethod(IntEnum):
    """Authentication methods (RFC 7296 3.8, RFC 4754, RFC 7427, RFC 7619)."""

    RSA = 1
    SHARED_KEY = 2
    ECDSA_SHA256_P256 = 9
    ECDSA_SHA384_P384 = 10
    ECDSA_SHA512_P521 = 11
    NULL = 13
    SIGNATURE = 14


class CertEncoding(IntEnum):
    """Certificate encodings (RFC 7296 3.6)."""

    X509_SIGNATURE = 4
    CRL = 7
    HASH_AND_URL = 12
    HASH_AND_URL_BUNDLE = 13


class ConfigType(IntEnum):
    """Types of configuration payloads (RFC 7296 3.15)."""

    REQUEST = 1
    REPLY = 2
    SET = 3
    ACK = 4


class ConfigAttributeType(IntEnum):
    """Configuration attributes (RFC 7296 3.15.1)."""

    INTERNAL_IP4_ADDRESS = 1
    INTERNAL_IP4_DNS = 3
    INTERNAL_IP6_ADDRESS = 8
    INTERNAL_IP6_DNS = 10
    INTERNAL_IP4_SUBNET = 13
    INTERNAL_IP6_SUBNET = 15
    INTERNAL_DNS_DOMAIN = 25
    ENCDNS_IP4 = 27
    ENCDNS_IP6 = 28
    ENCDNS_DIGEST_INFO = 29


class HashAlgorithm(IntEnum):
    """Hash algorithms of digital signatures (RFC 7427 7, RFC 8420 5)."""

    SHA1 = 1
    SHA2_256 = 2
    SHA2_384 = 3
    SHA2_512 = 4
    IDENTITY = 5


class TsType(IntEnum):
    """Traffic selector types (RFC 7296 3.13.1)."""

    IPV4_ADDR_RANGE = 7
    IPV6_ADDR_RANGE = 8
    SECLABEL = 10


class NotifyType(IntEnum):
    """Notify message types (RFC 7296 3.10.1): errors below 16384, status types from there."""

    UNSUPPORTED_CRITICAL_PAYLOAD = 1
    INVALID_IKE_SPI = 4
    INVALID_MAJOR_VERSION = 5
    INVALID_SYNTAX = 7
    INVALID_MESSAGE_ID = 9
    INVALID_SPI = 11
    NO_PROPOSAL_CHOSEN = 14
    INVALID_KE_PAYLOAD = 17
    AUTHENTICATION_FAILED = 24
    SINGLE_PAIR_REQUIRED = 34
    NO_ADDITIONAL_SAS = 35
    INTERNAL_ADDRESS_FAILURE = 36
    FAILED_CP_REQUIRED = 37
    TS_UNACCEPTABLE = 38
    INVALID_SELECTORS = 39
    UNACCEPTABLE_ADDRESSES = 40
    UNEXPECTED_NAT_DETECTED = 41
    TEMPORARY_FAILURE = 43
    CHILD_SA_NOT_FOUND = 44
    STATE_NOT_FOUND = 47
    TS_MAX_QUEUE = 48
    INITIAL_CONTACT = 16384
    SET_WINDOW_SIZE = 16385
    ADDITIONAL_TS_POSSIBLE = 16386
    IPCOMP_SUPPORTED = 16387
    NAT_DETECTION_SOURCE_IP = 16388
    NAT_DETECTION_DESTINATION_IP = 16389
    COOKIE = 16390
    USE_TRANSPORT_MODE = 16391
    HTTP_CERT_LOOKUP_SUPPORTED = 16392
    REKEY_SA = 16393
    ESP_TFC_PADDING_NOT_SUPPORTED = 16394
    NON_FIRST_FRAGMENTS_ALSO = 16395
    MOBIKE_SUPPORTED = 16396
    ADDITIONAL_IP4_ADDRESS = 16397
    ADDITIONAL_IP6_ADDRESS = 16398
    NO_ADDITIONAL_ADDRESSES = 16399
    UPDATE_SA_ADDRESSES = 16400
    COOKIE2 = 16401
    NO_NATS_ALLOWED = 16402
    REDIRECT_SUPPORTED = 16406
    REDIRECT = 16407
    REDIRECTED_FROM = 16408
    TICKET_LT_OPAQUE = 16409
    TICKET_REQUEST = 16410
    TICKET_ACK = 16411
    TICKET_NACK = 16412
    TICKET_OPAQUE = 16413
    USE_WESP_MODE = sources.USE_WESP.number
    CHILDLESS_IKEV2_SUPPORTED = 16418
    QUICK_CRASH_DETECTION = 16419
    IKEV2_MESSAGE_ID_SYNC_SUPPORTED = 16420
    IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED = 16421
    IKEV2_MESSAGE_ID_SYNC = 16422
    IPSEC_REPLAY_COUNTER_SYNC = 16423
    IKEV2_FRAGMENTATION_SUPPORTED = 16430
    SIGNATURE_HASH_ALGORITHMS = 16431
    USE_PPK = 16435
    PPK_IDENTITY = 16436
    NO_PPK_AUTH = 16437
    INTERMEDIATE_EXCHANGE_SUPPORTED = 16438
    ADDITIONAL_KEY_EXCHANGE = 16441
    USE_AGGFRAG = 16442
    SUPPORTED_AUTH_METHODS = 16443
    SA_RESOURCE_INFO = 16444
    USE_PPK_INT = 16445
    PPK_IDENTITY_KEY = 16446
    IKE_SA_INIT_FULL_TRANSCRIPT_AUTH = 16447
    USE_BEET_MODE = 40961
    """Private, strongSwan's: it counts from a peer with that vendor ID."""
    EESP_MAX_SUB_SA_ID = sources.MAX_SUB_SA_ID.number
    """Private, ours, as those that follow: they count from a peer with our vendor ID."""
    EESP_MAX_CRYPT_OFFSET = sources.MAX_CRYPT_OFFSET.number
    ESP_TRAILER_IN_HEADER = 51204
    ESP_HEADER_IN_TRAILER = 51205
    ESP_CRYPT_OFFSET = 51206
    USE_WESPV2_MODE = sources.USE_WESP_V2.number
    SUB_CHILD_SA = 51211
    ENCRYPTED_PING_SUPPORTED = 51210
    OPTIMIZED_REKEY_SUPPORTED = 50400
    OPTIMIZED_REKEY = 50401
    CHILD_SA_PFS_INFO_SUPPORTED = 50600
    DELETE_REASON = 52000
    REPLAY_SUBSPACES = 52020
    LINK_MAX_ATOMIC_PACKET = 52030
    PACKET_TOO_BIG = 52031
    DSCP = 52040
    HCP_PROPOSAL = 52050
    COOKIE_EXCLUDED = 52060


FIRST_STATUS_NOTIFY = 16384


def name_of(kind: type[IntEnum], value: int) -> str:
    """The registry's name of a number, or the number itself where we know none."""
    try:
        return kind(value).name
    except ValueError:
        return str(value)
