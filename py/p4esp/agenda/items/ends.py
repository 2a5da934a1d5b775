"""How IKE SAs end, and how the two come back: reasons, crashes, resumption, clusters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from p4esp.agenda.configuring import extension
from p4esp.agenda.model import Amend, Claim, Drive, Evidence, Item, Run, unchanged
from p4esp.demo.faults import (
    child_names,
    delete_child,
    lose_peer,
    lose_state,
    others_than,
    take_over,
)
from p4esp.demo.lab import Lab
from p4esp.ike.config import Retransmission
from p4esp.ike.delete_reason import DeleteReason, ReasonType
from p4esp.ike.events import DownReason
from p4esp.service.journal import Kind

_TESTS: Final = "py/tests/controller/test_ends_end_to_end.py::"
_IMPATIENT: Final = {"retransmission": Retransmission(first=0.4, tries=1)}
_WHY: Final = DeleteReason(ReasonType.ADMINISTRATIVELY_DOWN, "moving house", "en")
_MISSED: Final = 1000
"""Packets that one which takes over may not know of."""


def _until_back(fault: Callable[[Lab], Awaitable[None]]) -> Drive:
    """A fault of the tunnel, and the wait for the next one."""

    async def drive(lab: Lab) -> None:
        await lab.tunnel_up()
        known = child_names(lab)
        await fault(lab)
        await others_than(lab, known)

    return drive


async def _close_down(lab: Lab) -> None:
    await lab.tunnel_up()
    await delete_child(lab, lab.right, _WHY)
    await lab.happened(lab.left, Kind.ALERT)


async def _be_replaced(lab: Lab) -> None:
    await lab.tunnel_up()
    take_over(lab, lab.right, _MISSED)
    for site in lab.sites:
        await lab.happened(site, Kind.SKIPPED)


def _run(drive: Drive, amend: Amend = unchanged, *, packets: bool = True) -> Run:
    return Run(amend, drive, ike=_IMPATIENT, packets=packets)


def _has(evidence: Evidence, message: str, payload: str) -> bool:
    return any(payload in sent.payloads for sent in evidence.messages_of(message))


def _both_have(evidence: Evidence, exchange: str, payload: str) -> bool:
    """Whether requests and responses of an exchange have a payload."""
    return all(_has(evidence, f"{exchange} {kind}", payload) for kind in ("request", "response"))


ITEMS: Final = (
    Item(
        "delete-reason",
        "Delete reason: why an SA goes, and what the peer makes of it",
        ("draft-pwouters-ipsecme-delete-info, working copy",),
        _TESTS + "test_an_administrative_delete_empties_the_tables_until_the_operator_acts",
        having=_run(_close_down, extension(delete_reason=True), packets=False),
        lacking=_run(_until_back(lambda lab: delete_child(lab, lab.right)), packets=False),
        claims=(
            Claim(
                "the Delete says why",
                lambda _, after: _has(after, "INFORMATIONAL request", "N(DELETE_REASON)"),
            ),
            Claim("the peer's operator reads it", lambda _, after: after.says(str(_WHY))),
            Claim(
                "without it the peer makes the SA again at once, with it it stands by",
                lambda before, after: (
                    bool(before.entries("sa_out")) > bool(after.entries("sa_out"))
                ),
            ),
        ),
    ),
    Item(
        "session-resumption",
        "IKEv2 session resumption: back without a key exchange",
        ("RFC 5723",),
        _TESTS + "test_a_lost_ike_sa_is_resumed_and_its_sas_are_new",
        having=_run(_until_back(lambda lab: lose_peer(lab, lab.left)), extension(resumption=True)),
        lacking=_run(_until_back(lambda lab: lose_peer(lab, lab.left))),
        claims=(
            Claim(
                "the second IKE SA comes from a ticket",
                lambda _, after: _has(after, "IKE_SESSION_RESUME request", "N(TICKET_OPAQUE)"),
            ),
            Claim(
                "there is one key exchange less",
                lambda before, after: (
                    len(after.messages_of("IKE_SA_INIT response"))
                    == len(before.messages_of("IKE_SA_INIT response")) - 1
                ),
            ),
        ),
        negotiated=lambda evidence: [
            f"{name}: IKE SA resumed"
            for name, sas in evidence.ike.items()
            for ike in sas
            if ike["resumed"]
        ],
    ),
    Item(
        "crash-detection",
        "Quick crash detection: lost state is proved, not waited for",
        ("RFC 6290",),
        _TESTS + "test_a_proof_of_loss_takes_the_sas_out_of_the_tables_at_once",
        having=_run(
            _until_back(lambda lab: lose_state(lab, lab.right)), extension(crash_detection=True)
        ),
        lacking=_run(_until_back(lambda lab: lose_state(lab, lab.right))),
        claims=(
            Claim(
                "tokens are given both ways",
                lambda _, after: _both_have(after, "IKE_AUTH", "N(QUICK_CRASH_DETECTION)"),
            ),
            Claim(
                "the peer is dropped for its token, not for its silence",
                lambda before, after: (
                    before.says(DownReason.PEER_DEAD) and after.says(DownReason.PEER_CRASHED)
                ),
            ),
        ),
    ),
    Item(
        "message-id-sync",
        "Message ID synchronisation: one of a cluster takes over",
        ("RFC 6311",),
        _TESTS + "test_one_that_takes_over_makes_the_peer_skip_sequence_numbers",
        having=_run(_be_replaced, extension(message_id_sync=True)),
        claims=(
            Claim(
                "both agree on message IDs anew",
                lambda _, after: _both_have(after, "INFORMATIONAL", "N(IKEV2_MESSAGE_ID_SYNC)"),
            ),
            Claim(
                "the peer skips the sequence numbers that may have been used",
                lambda _, after: (
                    after.says(f"{Kind.SKIPPED} right") and after.says(f": {_MISSED} of ")
                ),
            ),
        ),
    ),
)
