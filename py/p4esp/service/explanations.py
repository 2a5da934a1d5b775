"""Failures in plain words: what is wrong, and what to change where.

Each explanation knows the lines of the journal that tell of it. The first that fits counts.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Explanation:
    """One failure. `cause` and `remedy` may hold the groups of `pattern` by name."""

    name: str
    pattern: str
    """Of `KIND SUBJECT: TEXT`, from its beginning."""
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A failure that happened, explained where there is an explanation."""

    gateway: str
    explanation: str
    """Name of the explanation; empty: there is none."""
    cause: str
    remedy: str
    seen: str
    """The line of the journal."""
    count: int


_SA_FAILED: Final = r"SA failed (?P<peer>\S+) \S+: "
_REQUEST: Final = r"exchange failed (?P<peer>\S+) {exchange} request \d+: "
_METHODS: Final = (
    "only key exchange methods differ: offered (?P<offered>.+); accepted (?P<accepted>.+)"
)
_PEERS_ASKING: Final = (
    "For the rekeys of child SAs the peer {peer} wants {offered}, and this gateway accepts "
    "{accepted}. Everything else agrees. "
)
_OURS_ASKING: Final = (
    "For the rekeys of child {child} this gateway wants {offered}, and the peer {peer} accepts "
    "{accepted}. Everything else agrees. "
)
_NO_REKEY: Final = "The child SA works until its lifetime is over, and cannot be rekeyed."
_AT_ONCE: Final = "So there is no child SA; the IKE SA is up."
_SAME_METHOD: Final = (
    "Name the same method in `proposals` of the child at both ends, such as "
    "`aes256gcm16-x25519-esn`, or none at both. Where only one end can be changed: here "
    '`key_exchange = "ike"` of the child admits the method of the IKE SA, too, and "optional" '
    "does without one."
)
_EARLIER: Final = (
    " With `extensions.pfs_info = true` at both ends it is found when the peer is authenticated, "
    "not at the first rekey."
)

EXPLANATIONS: Final = (
    Explanation(
        "pfs-mismatch",
        _SA_FAILED + r": NO_PROPOSAL_CHOSEN: " + _METHODS,
        _PEERS_ASKING + _AT_ONCE,
        _SAME_METHOD,
    ),
    Explanation(
        "pfs-mismatch",
        _REQUEST.format(exchange="CREATE_CHILD_SA") + r"NO_PROPOSAL_CHOSEN: " + _METHODS,
        _PEERS_ASKING + _NO_REKEY,
        _SAME_METHOD + _EARLIER,
    ),
    Explanation(
        "pfs-mismatch",
        _SA_FAILED + r"(?P<child>[^:]+): (?:NO_PROPOSAL_CHOSEN|INVALID_KE_PAYLOAD): " + _METHODS,
        _OURS_ASKING + _NO_REKEY,
        _SAME_METHOD + _EARLIER,
    ),
    Explanation(
        "optimized-rekey-refused",
        _REQUEST.format(exchange="CREATE_CHILD_SA")
        + r"NO_PROPOSAL_CHOSEN: optimized rekey: (?P<why>.+)",
        "The peer {peer} wanted to replace an SA by one just like it, and that cannot be{why}.",
        "Nothing: the peer asks again in the regular way.",
    ),
    Explanation(
        "no-esp-proposal",
        _SA_FAILED + r"(?P<child>[^:]+): NO_PROPOSAL_CHOSEN: offered (?P<proposals>.+); "
        r"the peer does not say what it accepts; methods offered: (?P<offered>.+)",
        "The peer {peer} accepts none of the ESP proposals of child {child}: {proposals}. It does "
        "not say why. They hold a key exchange method for rekeys, too: this gateway wants "
        "{offered}.",
        "Compare `proposals` of the child with those of the peer; the peer's log, or `p4esp "
        "doctor` there, says what it would accept. If ciphers and sequence numbers are the same, "
        "it is the key exchange. " + _SAME_METHOD,
    ),
    Explanation(
        "no-esp-proposal",
        _SA_FAILED + r"(?P<child>[^:]+): NO_PROPOSAL_CHOSEN: offered (?P<offered>.+); "
        r"the peer does not say",
        "The peer {peer} accepts none of the ESP proposals of child {child}: {offered}. It does "
        "not say why.",
        "Compare ciphers and sequence numbers in `proposals` of the child with those of the peer; "
        "the peer's log, or `p4esp doctor` there, says what it would accept.",
    ),
    Explanation(
        "no-esp-proposal",
        r"(?:SA failed|exchange failed) (?P<peer>\S+) (?:\S+|CREATE_CHILD_SA request \d+): "
        r"(?:: )?NO_PROPOSAL_CHOSEN: offered (?P<offered>.+); accepted (?P<accepted>.+)",
        "The peer {peer} offers {offered}, and this gateway accepts {accepted}.",
        "Let `proposals` of the child, or of the peer if it is its IKE SA that is rekeyed, have a "
        "combination in common with the peer's.",
    ),
    Explanation(
        "no-ike-proposal",
        _REQUEST.format(exchange="IKE_SA_INIT")
        + r"NO_PROPOSAL_CHOSEN: (?:only key exchange methods differ: )?"
        r"offered (?P<offered>.+); accepted (?P<accepted>.+)",
        "{peer} offers {offered} for the IKE SA, and this gateway accepts {accepted}.",
        "Let `proposals` of the peer have a combination in common with the other end's.",
    ),
    Explanation(
        "no-ike-proposal",
        r"IKE failed (?P<peer>\S+) \S+: (?:not rekeyed: )?"
        r"(?:NO_PROPOSAL_CHOSEN|INVALID_KE_PAYLOAD)",
        "The peer {peer} accepts none of our IKE proposals.",
        "Compare `proposals` of the peer with those of the other end; its log says what it would "
        "accept.",
    ),
    Explanation(
        "ppk-mandatory",
        r"(?:IKE|exchange) failed (?P<peer>\S+) .*?: (?:AUTHENTICATION_FAILED: )?"
        r"(?P<why>(?:the answer has no use for the PPK|the PPK is mandatory|USE_PPK was agreed on"
        r"|the peer's PPK is not known here).*)",
        "A postquantum preshared key is mandatory, and the two ends do not share one{why}.",
        "Give both ends the same key under the same name in section `ppk` of the peer, or make it "
        "optional with `ppk.required = false`.",
    ),
    Explanation(
        "refused-by-peer",
        r"IKE failed (?P<peer>\S+) \S+: the peer refused us with (?P<error>\w+)",
        "The peer {peer} refuses to authenticate us: {error}. On purpose it does not say why.",
        "Look at the peer's log. Mostly `local_id` here is not its `remote_id`, the pre-shared "
        "keys differ, or it does not trust our certificate.",
    ),
    Explanation(
        "unknown-peer",
        r"(?:IKE|exchange) failed (?P<peer>\S+) .*?no configuration for peer (?P<claimed>.+)",
        "Somebody at {peer} says to be {claimed}, and no peer with that identity is configured.",
        "Let `remote_id` of the peer here be the identity that the other end sends.",
    ),
    Explanation(
        "wrong-identity",
        r"IKE failed (?P<peer>\S+) \S+: the peer is (?P<claimed>.+), expected is (?P<wanted>.+)",
        "The peer {peer} says to be {claimed}, and `remote_id` here is {wanted}.",
        "Make `remote_id` here and the identity of the peer there the same.",
    ),
    Explanation(
        "authentication-failed",
        r"IKE failed (?P<peer>\S+) \S+: (?P<why>AUTH does not verify.*|the peer uses AUTH method.*"
        r"|no AUTH payload.*|.*certificate.*)",
        "The peer {peer} does not prove who it is{why}.",
        "Compare the pre-shared keys of both ends, octet by octet; with certificates see that "
        "`trust` has the peer's CA and that the certificate is valid today.",
    ),
    Explanation(
        "ts-unacceptable",
        r"(?:SA failed|exchange failed) (?P<peer>\S+) .*?TS_UNACCEPTABLE(?:: (?P<why>.+))?",
        "The two ends do not agree on what a child SA carries, or in which mode{why}.",
        "`local` of the child here must meet `remote` at the peer {peer} and the other way round; "
        "`mode` must be the same.",
    ),
    Explanation(
        "no-more-sas",
        r"(?:SA failed|exchange failed) (?P<peer>\S+) .*?NO_ADDITIONAL_SAS(?:: (?P<why>.+))?",
        "One of the ends makes no further child SAs{why}.",
        "Delete SAs that are not used, or have fewer `parallel` ones.",
    ),
    Explanation(
        "internal-address",
        r"(?:SA failed|exchange failed) (?P<peer>\S+) .*?"
        r"(?:FAILED_CP_REQUIRED|INTERNAL_ADDRESS_FAILURE|assigned no internal address)",
        "The peer {peer} and we do not agree on internal addresses.",
        "Who is to get an address sets `request_addresses`; who gives them has an `assign` section "
        "whose pools have free addresses of that IP version.",
    ),
    Explanation(
        "format-required",
        r"(?:SA failed|exchange failed) (?P<peer>\S+) .*?format (?P<format>\S+) is required",
        "A child SA is to have the packet format {format}, and the other end does not agree to it.",
        "Set `format` and `experimental = true` at both ends, or `format_required = false` here.",
    ),
    Explanation(
        "peer-silent",
        r"IKE (?:failed|SA down) (?P<peer>\S+) \S+: (?:the peer does not answer: )?"
        r"no answer to (?P<exchange>\w+), sent (?P<times>\d+) times",
        "The peer {peer} does not answer {exchange}, which was sent {times} times.",
        "See that the peer runs, that `remote` is its address, and that UDP ports 500 and 4500 are "
        "open between the two. If it answers small messages only, fragments get lost: lower "
        "`ike.fragment_size`.",
    ),
    Explanation(
        "no-peer-here",
        r"exchange failed (?P<peer>\S+) .*no peer is configured for these addresses",
        "{peer} wants an IKE SA, and no peer is configured with that address.",
        "Set `remote` of the peer to that address, or leave it out.",
    ),
    Explanation(
        "engine-down",
        r"engine down (?P<peer>\S*)",
        "The crypto engine is not in use, so nothing is sealed or opened.",
        "Start it, or see why it left its crypto port: `p4esp ready engine`.",
    ),
    Explanation(
        "switch-away",
        r"disconnected (?P<peer>\S*)",
        "The switch cannot be reached, or another controller has it.",
        "Start it, and see that `switch` is its address: `p4esp ready switch`.",
    ),
)
"""In the order in which they are tried."""

_NO_KE: Final = "no key exchange (no perfect forward secrecy)"


def explain(failures: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """What failures of a control socket mean; those that mean the same are counted together."""
    found: dict[tuple[str, str, str], Finding] = {}
    for failure in failures:
        finding = _finding(failure)
        key = finding.gateway, finding.explanation, finding.cause
        known = found.get(key)
        count = finding.count + (known.count if known else 0)
        found[key] = replace(finding, count=count)
    return list(found.values())


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding as JSON-ready values."""
    return asdict(finding)


def _finding(failure: Mapping[str, Any]) -> Finding:
    line = f"{failure['kind']} {failure['subject']}: {failure['text']}"
    gateway, count = str(failure["gateway"]), int(failure["count"])
    for explanation in EXPLANATIONS:
        match = re.match(explanation.pattern, line)
        if match is not None:
            words = {name: _in_words(name, text) for name, text in match.groupdict().items()}
            cause, remedy = (
                text.format_map(words) for text in (explanation.cause, explanation.remedy)
            )
            return Finding(gateway, explanation.name, cause, remedy, line, count)
    return Finding(gateway, "", "", "", line, count)


def _in_words(name: str, text: str | None) -> str:
    if name == "why":
        return f": {text}" if text else ""
    if name in ("offered", "accepted"):
        return re.sub(r"\bnone\b(?! of)", _NO_KE, text or "")
    return text or ""
