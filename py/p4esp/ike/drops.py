"""The named reasons for which messages are not used."""

from enum import StrEnum


class Drop(StrEnum):
    """Why a message was not used, or an IKE SA given up for a newer one."""

    RUNT = "too short for any header"
    NOT_IKE = "ESP or NAT keepalive"
    MALFORMED = "no well-formed IKE header"
    OTHER_VERSION = "major version is not 2"
    UNKNOWN_SPI = "no IKE SA has this SPI"
    NOT_AN_OPENING = "responder SPI is zero, but this is no request that begins an IKE SA"
    TOO_LARGE = "IKE_SA_INIT request exceeds the size limit"
    NO_PEER = "no peer is configured for these addresses"
    NO_COOKIE = "IKE_SA_INIT request has to show a cookie of ours"
    OUTDATED = "a later version of this IKE_SA_INIT request, with a cookie, has opened an IKE SA"
    SOURCE_RATE = "too many IKE_SA_INIT requests from this source, with good cookies"
    SOURCE_LIMIT = "too many half-open IKE SAs from this source"
    FAILED_BEFORE = "this source failed to authenticate too often"
    IKE_SA_LIMIT = "too many IKE SAs"
    GAVE_WAY = "the oldest half-open IKE SA gave way to a newer one"
    WRONG_SA = "SPIs or initiator flag are not those of this IKE SA"
    NOT_PROTECTED = "not protected"
    NOT_AUTHENTIC = "the integrity check failed"
    FRAGMENT = "a fragment that is not used"
    OUTSIDE_WINDOW = "message ID or exchange is not the one expected"
    UNASKED = "answers no outstanding request"
    MALFORMED_INSIDE = "not a well-formed message"
    REFUSED = "answered with an error"
    USELESS_ANSWER = "a response that cannot be used"
    IGNORED_NOTIFY = "a notify that is not used; the rest of its message is"
