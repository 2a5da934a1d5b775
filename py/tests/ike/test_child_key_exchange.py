"""Which key exchange a child SA's configuration admits: that of its proposals, that of the IKE SA,
even none, or none at all.
"""

import pytest
from ike_ledger import assert_mirrored
from ike_methods import NEITHER, PFS, methods_lab, only_child, rekey, sent

from p4esp.ike.config import ChildKe
from p4esp.ike.constants import ExchangeType
from p4esp.ike.events import ChildFailed
from p4esp.ike.proposals import Template

PLAIN = "aes256gcm16-noesn"
WITH_P256 = "aes256gcm16-ecp256-noesn"
WITH_X25519 = "aes256gcm16-x25519-noesn"
OPTIONAL_P256 = "aes256gcm16-ecp256-modpnone-noesn"
IKE = "aes256gcm16-prfsha256-x25519"
HYBRID = "aes256gcm16-prfsha256-x25519-ke1_mlkem768"
ROLES = ["west", "east"]
X25519, P256 = 31, 19


def rekeyed(west, east, *, ke, role="west", wishes=(NEITHER, NEITHER), ike=IKE):
    """A lab whose child SA has been rekeyed; west's configuration has `ke`."""
    lab = methods_lab(west, east, wishes=wishes, ike=ike, ke=(ke, ChildKe.LISTED))
    rekey(lab, role)
    return lab


@pytest.mark.parametrize("wishes", [(NEITHER, NEITHER), (PFS, PFS)])
@pytest.mark.parametrize(
    ("west", "ke", "east", "method"),
    [
        (PLAIN, ChildKe.IKE, WITH_X25519, X25519),
        (WITH_P256, ChildKe.IKE, WITH_X25519, X25519),
        (WITH_P256, ChildKe.IKE, WITH_P256, P256),
        (PLAIN, ChildKe.OPTIONAL, WITH_X25519, X25519),
        (PLAIN, ChildKe.OPTIONAL, PLAIN, 0),
        (WITH_P256, ChildKe.OPTIONAL, PLAIN, 0),
        (WITH_P256, ChildKe.OPTIONAL, WITH_P256, P256),
        (WITH_P256, ChildKe.NONE, PLAIN, 0),
        (WITH_P256, ChildKe.NONE, OPTIONAL_P256, 0),
        (WITH_X25519, ChildKe.LISTED, WITH_X25519, X25519),
        (PLAIN, ChildKe.LISTED, PLAIN, 0),
    ],
)
def test_a_rekey_has_the_first_method_that_both_ends_admit(west, ke, east, method, wishes):
    for role in ROLES:
        lab = rekeyed(west, east, ke=ke, role=role, wishes=wishes)
        assert only_child(lab.west).method == only_child(lab.east).method == method
        assert_mirrored(lab)


@pytest.mark.parametrize(
    ("west", "ke", "east"),
    [
        (PLAIN, ChildKe.LISTED, WITH_X25519),
        (PLAIN, ChildKe.IKE, PLAIN),
        (PLAIN, ChildKe.IKE, WITH_P256),
        (PLAIN, ChildKe.OPTIONAL, WITH_P256),
        (WITH_P256, ChildKe.NONE, WITH_P256),
    ],
)
def test_what_neither_admits_is_not_had(west, ke, east):
    lab = rekeyed(west, east, ke=ke)
    assert lab.west.one(ChildFailed).reason == "NO_PROPOSAL_CHOSEN"
    assert_mirrored(lab)


def test_as_the_ike_sa_means_its_additional_exchanges_too():
    lab = rekeyed(PLAIN, "aes256gcm16-x25519-ke1_mlkem768-noesn", ke=ChildKe.IKE, ike=HYBRID)
    assert len(sent(lab.west, ExchangeType.IKE_FOLLOWUP_KE)) == 1
    assert only_child(lab.east).method == X25519
    assert_mirrored(lab)


def test_a_proposal_without_method_is_offered_once_only_in_ike_auth():
    lab = methods_lab(WITH_P256, wishes=(NEITHER, NEITHER), ke=(ChildKe.OPTIONAL,) * 2)
    assert only_child(lab.west).chosen.transforms == Template.esp(PLAIN).transforms
    assert only_child(lab.west).chosen.number == 1
