"""What an SA made by an optimized rekey takes from the old one without a word: mode and format."""

from dataclasses import replace

import pytest
from ike_ledger import assert_mirrored
from ike_methods import BOTH, NEITHER, methods_lab, only_child, rekey, sent

from p4esp.ike.config import FormatWish
from p4esp.ike.constants import ExchangeType
from p4esp.ike.events import ChildRekeyed
from p4esp.ike.nat import NatStatus
from p4esp.ike.path import Path
from p4esp.ipsec.sa import Mode

CREATE = ExchangeType.CREATE_CHILD_SA
PLAIN = "aes256gcm16-noesn"
IMPLICIT = "aes256gcm16iiv-noesn"
ROLES = ["west", "east"]
HOSTS = ("192.0.2.0/24", "192.0.2.0/24")
PAIR = ("10.1.0.1/32", "10.2.0.1/32")
REKEYED = [("N(REKEY_SA)", "N(OPTIMIZED_REKEY)", "NONCE")]
FORMATS = {
    "wesp": (FormatWish("wesp"), PLAIN),
    "subspaces": (FormatWish("subspaces", subs=4), IMPLICIT),
    "sub-child": (FormatWish("sub-child", subs=4), IMPLICIT),
    "spi-block": (FormatWish("spi-block", subs=4), IMPLICIT),
    "crypt-offset": (FormatWish("crypt-offset", shown=28), IMPLICIT),
    "eesp-full": (FormatWish("eesp-full", subs=4, shown=32), IMPLICIT),
    "eesp-unnumbered": (FormatWish("eesp-optimized", numbered=False), PLAIN),
}


def lab_of(text=PLAIN, wishes=(BOTH, BOTH), **options):
    return methods_lab(text, wishes=wishes, **options)


def parts_kept(lab):
    """What must not change, of both ends."""
    kept = []
    for node in (lab.west, lab.east):
        params = only_child(node).params
        kept.append((params.mode, params.layout, params.suite, params.esn, params.wrap))
    return kept


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("mode", "nets"), [(Mode.TRANSPORT, HOSTS), (Mode.BEET, PAIR)], ids=["transport", "beet"]
)
def test_a_mode_is_inherited_and_not_asked_for(mode, nets, role):
    lab = lab_of(mode=mode, nets=nets)
    before = parts_kept(lab)
    assert before[0][0] is mode
    rekey(lab, role)
    assert sent(getattr(lab, role), CREATE) == REKEYED
    assert parts_kept(lab) == before
    assert_mirrored(lab)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_inherited_with_its_limits_and_not_asked_for(name, role):
    wish, text = FORMATS[name]
    lab = lab_of(text, format=wish)
    before = parts_kept(lab)
    assert before[0][1].format == wish.name
    rekey(lab, role)
    assert sent(getattr(lab, role), CREATE) == REKEYED
    assert parts_kept(lab) == before
    assert_mirrored(lab)


def test_a_block_of_spis_is_asked_for_as_large_as_before():
    wish, text = FORMATS["spi-block"]
    lab = lab_of(text, format=wish)
    rekey(lab)
    new = lab.west.one(ChildRekeyed).new
    assert new.spi_in % 4 == new.spi_out % 4 == 0


def test_a_format_that_the_path_no_longer_carries_makes_it_regular():
    """There is a NAT now, and EESP cannot travel in UDP."""
    wish, text = FORMATS["eesp-unnumbered"]
    lab = lab_of(text, format=wish)
    for node in (lab.west, lab.east):
        (entry,) = node.endpoint._entries.values()
        entry.sa._state.nat = NatStatus(local=True, remote=False)
    rekey(lab)
    (request,) = sent(lab.west, CREATE)
    assert "SA" in request
    assert only_child(lab.west).params.layout.format == "esp"


def test_selectors_of_hosts_that_have_moved_make_it_regular():
    """In transport mode selectors are the two hosts, wherever they are."""
    lab = lab_of(mode=Mode.TRANSPORT, nets=HOSTS)
    (entry,) = lab.west.endpoint._entries.values()
    state = entry.sa._state
    here = replace(state.path.local, host=state.path.local.host + 7)
    state.mobility.path = Path(here, state.path.remote)
    lab.west.endpoint.rekey_child(only_child(lab.west).params.spi_in, lab.now)
    lab.settle()
    (request,) = sent(lab.west, CREATE)
    assert "SA" in request


CHANGES = {
    "mode": {"mode": Mode.TUNNEL},
    "format": {"format": FormatWish("wesp")},
    "required format": {"format": FormatWish("eesp-full", required=True)},
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_mode_or_format_in_policy_makes_it_regular(what):
    changes, (wish, text) = CHANGES[what], FORMATS["crypt-offset"]
    kind = {"mode": Mode.TRANSPORT, "nets": HOSTS} if what == "mode" else {"format": wish}
    lab = lab_of(text, **kind)
    made = only_child(lab.west)
    made.config = replace(made.config, **changes)
    lab.west.endpoint.rekey_child(made.params.spi_in, lab.now)
    lab.settle()
    assert all("N(OPTIMIZED_REKEY)" not in payloads for payloads in sent(lab.west, CREATE))


def test_a_format_that_was_only_wished_for_is_not_wished_for_again():
    """The peer has agreed to plain ESP once: that is inherited."""
    lab = lab_of()
    made = only_child(lab.west)
    made.config = replace(made.config, format=FormatWish("wesp"))
    rekey(lab)
    assert sent(lab.west, CREATE) == REKEYED
    assert only_child(lab.west).params.layout.format == "esp"


def test_a_mode_is_asked_for_in_a_regular_rekey():
    lab = lab_of(wishes=(NEITHER, NEITHER), mode=Mode.TRANSPORT, nets=HOSTS)
    rekey(lab)
    (request,) = sent(lab.west, CREATE)
    assert "N(USE_TRANSPORT_MODE)" in request
