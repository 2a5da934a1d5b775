"""`p4esp doctor` in plain words: every failure below is brought about, not made up, and must be
explained at the end where it is seen.
"""

from dataclasses import replace

import pytest
from ike_lab import EAST_NET, WEST_NET, Lab, child, east_config, west_config
from ike_methods import BOTH, NEITHER, PFS, SETTINGS, methods_lab, only_child, rekey
from ppk_lab import policy

from p4esp.daemon.events import DaemonEvents
from p4esp.daemon.null_data_plane import NullDataPlane
from p4esp.ike.config import FormatWish, Settings
from p4esp.ike.proposals import Template
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.identity_pattern import parse_peer_identity
from p4esp.service.audit import trace_hook
from p4esp.service.event_hub import EventHub
from p4esp.service.explanations import EXPLANATIONS, explain
from p4esp.service.failures import FAILURES, failures_in
from p4esp.service.journal import Entry, Journal, Kind

PLAIN, WITH = "aes256gcm16-noesn", "aes256gcm16-x25519-noesn"
NO_KE = "no key exchange (no perfect forward secrecy)"


def findings(node):
    """What a daemon's journal holds of an end, explained."""
    journal = Journal()
    events = DaemonEvents(NullDataPlane(lambda _: 1), EventHub(), journal)
    for event in node.events:
        events._record(event)
    hook = trace_hook("ike", journal, None)
    for record in node.traces:
        hook(record)
    return [found for found in explain(failures_in(journal)) if found.explanation]


def only_finding(node):
    (found,) = findings(node)
    return found


@pytest.mark.parametrize(
    ("west", "east", "theirs", "ours"),
    [(WITH, PLAIN, "x25519", NO_KE), (PLAIN, WITH, NO_KE, "x25519")],
)
@pytest.mark.parametrize("wishes", [(PFS, PFS), (NEITHER, NEITHER)], ids=["IKE_AUTH", "rekey"])
def test_who_is_asked_is_told_which_method_each_side_wants(west, east, theirs, ours, wishes):
    lab = methods_lab(west, east, wishes=wishes)
    if wishes[0] is NEITHER:
        rekey(lab)
    found = only_finding(lab.east)
    assert found.explanation == "pfs-mismatch"
    assert f"the peer west wants {theirs}, and this gateway accepts {ours}" in found.cause
    assert ("no child SA" in found.cause) == (wishes[0] is PFS)
    assert "`proposals` of the child" in found.remedy


@pytest.mark.parametrize(("west", "east", "ours"), [(WITH, PLAIN, "x25519"), (PLAIN, WITH, NO_KE)])
def test_who_asks_for_a_rekey_is_told_that_only_methods_can_differ(west, east, ours):
    """IKE_AUTH took everything else."""
    lab = methods_lab(west, east, wishes=(NEITHER, NEITHER))
    rekey(lab)
    found = only_finding(lab.west)
    assert found.explanation == "pfs-mismatch"
    assert f"For the rekeys of child net this gateway wants {ours}" in found.cause
    assert "the peer east accepts none of them" in found.cause
    assert "`extensions.pfs_info = true`" in found.remedy


def test_who_asks_in_ike_auth_is_told_what_it_offered_and_where_to_look():
    found = only_finding(methods_lab(WITH, PLAIN).west)
    assert found.explanation == "no-esp-proposal"
    assert "child net: aes256gcm16-x25519-noesn" in found.cause
    assert "this gateway wants x25519" in found.cause
    assert '`key_exchange = "ike"`' in found.remedy
    assert "`p4esp doctor` there" in found.remedy


def test_a_method_that_only_the_peer_knows_is_named():
    lab = methods_lab("aes256gcm16-x25519-noesn", "aes256gcm16-x25519-noesn", wishes=(NEITHER,) * 2)
    made = only_child(lab.east)
    made.config = replace(made.config, proposals=(Template.esp("aes256gcm16-ecp384-noesn"),))
    rekey(lab)
    assert "wants x25519, and this gateway accepts ecp384" in only_finding(lab.east).cause


def connected(west=None, east=None, settings=SETTINGS, seconds=0.0, **options):
    lab = Lab(
        west_config(**(west or {})), east_config(**(east or {})), settings=settings, **options
    )
    lab.connect()
    lab.run(seconds)
    return lab


def esp(text, *nets):
    return {"children": (replace(child(*nets), proposals=(Template.esp(text),)),)}


def ike(text):
    return {"proposals": (Template.ike(text),)}


def required(*nets):
    wish = FormatWish("wesp", required=True)
    return {"children": (replace(child(*nets), format=wish),)}


def second_child(lab):
    lab.west.endpoint.create_child(lab.west.endpoint.ike_sas[0].spi, "net", lab.now)
    lab.settle()
    return lab


def refused_inheritance():
    lab = methods_lab("aes256gcm16-aes128gcm16-noesn", wishes=(BOTH, BOTH))
    made = only_child(lab.east)
    made.config = replace(made.config, proposals=(Template.esp("aes128gcm16-noesn"),))
    rekey(lab)
    return lab


KEY = policy(required=True)
GCM, CBC = "aes256gcm16-prfsha256-x25519", "aes256-sha256-x25519"
FAILED = {
    "IKE proposals": (
        lambda: connected(ike(GCM), ike(CBC), seconds=200),
        "no-ike-proposal",
        "no-ike-proposal",
    ),
    "ESP proposals": (
        lambda: connected(
            esp("aes256gcm16-noesn", WEST_NET, EAST_NET),
            esp("aes128gcm16-noesn", EAST_NET, WEST_NET),
        ),
        "no-esp-proposal",
        "no-esp-proposal",
    ),
    "pre-shared key": (
        lambda: connected({"psk": b"another one"}),
        "refused-by-peer",
        "authentication-failed",
    ),
    "our identity": (
        lambda: connected({"local_id": Identity.parse("someone.example")}),
        "refused-by-peer",
        "unknown-peer",
    ),
    "its identity": (
        lambda: connected({"remote_id": parse_peer_identity("*.elsewhere.example")}),
        "wrong-identity",
        None,
    ),
    "selectors": (
        lambda: connected(east={"children": (child("10.7.0.0/16", WEST_NET),)}),
        "ts-unacceptable",
        "ts-unacceptable",
    ),
    "silence": (lambda: connected(fate=lambda _: [], seconds=400), "peer-silent", None),
    "address": (
        lambda: connected(east={"remote": west_config().remote}, seconds=1),
        None,
        "no-peer-here",
    ),
    "postquantum key": (lambda: connected({"ppk": KEY}, seconds=200), "ppk-mandatory", None),
    "format": (
        lambda: connected(required(WEST_NET, EAST_NET)),
        "format-required",
        None,
    ),
    "too many": (
        lambda: second_child(connected(settings=Settings(max_children=1))),
        "no-more-sas",
        "no-more-sas",
    ),
    "internal address": (
        lambda: connected({"request_addresses": (4,)}),
        "internal-address",
        None,
    ),
    "optimized rekey": (refused_inheritance, None, "optimized-rekey-refused"),
}


@pytest.mark.parametrize("what", FAILED)
def test_a_failure_is_explained_where_it_is_seen(what):
    bring_about, west, east = FAILED[what]
    lab = bring_about()
    for node, expected in ((lab.west, west), (lab.east, east)):
        names = [found.explanation for found in findings(node)]
        if expected is not None:
            assert expected in names
        assert all(found.cause and found.remedy for found in findings(node))
        assert not any("{" in found.cause + found.remedy for found in findings(node))


@pytest.mark.parametrize(
    ("kind", "name"), [(Kind.ENGINE_DOWN, "engine-down"), (Kind.DISCONNECTED, "switch-away")]
)
def test_what_a_gateway_loses_is_explained(kind, name):
    journal = Journal()
    journal.add(Entry("left", kind, "left", "connection refused"))
    (found,) = explain(failures_in(journal))
    assert (found.explanation, found.gateway) == (name, "left")


def test_every_explanation_is_brought_about_above():
    proved = {name for _, *names in FAILED.values() for name in names}
    others = {"pfs-mismatch", "engine-down", "switch-away", None}
    assert {explanation.name for explanation in EXPLANATIONS} == (proved | others) - {None}


def test_the_same_failure_is_told_once_and_counted():
    journal = Journal()
    for number in (2, 3, 4):
        subject = f"west CREATE_CHILD_SA request {number}"
        text = "NO_PROPOSAL_CHOSEN: only key exchange methods differ: offered none; accepted x25519"
        journal.add(Entry("left", Kind.EXCHANGE_FAILED, subject, text))
    (found,) = explain(failures_in(journal))
    assert found.count == 3


def test_a_failure_that_nobody_explains_is_told_as_it_is():
    journal = Journal()
    journal.add(Entry("left", Kind.STORE_FAILED, "ChildUp", "disk full"))
    (found,) = explain(failures_in(journal))
    assert (found.explanation, found.seen) == ("", "store failed ChildUp: disk full")


def test_what_went_well_is_no_failure():
    journal = Journal()
    for kind in set(Kind) - FAILURES:
        journal.add(Entry("left", kind, "x"))
    assert failures_in(journal) == []


def test_lines_of_strangers_are_not_taken_for_instructions():
    """Braces and the like in what a peer calls itself stay what they are."""
    journal = Journal()
    text = "AUTHENTICATION_FAILED: no configuration for peer {remedy} {0} {peer.__class__}"
    journal.add(Entry("left", Kind.EXCHANGE_FAILED, "192.0.2.9:500 IKE_AUTH request 1", text))
    (found,) = explain(failures_in(journal))
    assert "{remedy} {0} {peer.__class__}" in found.cause
