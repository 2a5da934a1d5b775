"""BEET mode with strongSwan, by its private notify and vendor ID (RFC 7402 appendix B)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from charon_daemon import control_plane
from lab.netlab import Lab
from p4esp.service.control_client import ControlError
from pairing import Pair, Role, Terms


def terms(ours: str = "beet", theirs: str = "beet", version: int = 4, inner: int = 4) -> Terms:
    """One address on each side, in the mode that each side is configured for."""
    ends = ("10.99.1.1/32", "10.99.2.1/32") if inner == 4 else ("fd99:1::1/128", "fd99:2::1/128")
    return Terms(
        version=version,
        inner=inner,
        our_child={"local": [ends[0]], "remote": [ends[1]], "mode": ours},
        their_child={"local_ts": [ends[1]], "remote_ts": [ends[0]], "mode": theirs},
    )


@pytest.fixture(scope="module")
def willing(lab: Lab, shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A charon that sends its vendor ID."""
    flavour = control_plane(shim, send_vendor_id="yes")
    made = Pair(lab, tmp_path_factory.mktemp("beet"), flavour, "beet")
    with made.charon:
        yield made


@pytest.mark.parametrize("role", ["initiator", "responder"])
@pytest.mark.parametrize(("version", "inner"), [(4, 4), (6, 4), (4, 6)])
def test_both_agree_on_beet_mode(willing: Pair, role: Role, version: int, inner: int) -> None:
    with willing.session(terms(version=version, inner=inner)) as session:
        ours, theirs = session.up(role)
        assert (ours["mode"], theirs["mode"]) == ("beet", "BEET")
        assert (ours["local_ts"], ours["remote_ts"]) == (theirs["remote-ts"], theirs["local-ts"])
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        assert session.agreed_child()[1]["mode"] == "BEET"


def test_beet_mode_is_encapsulated_where_a_nat_is_assumed(willing: Pair) -> None:
    made = terms()
    forced = Terms(
        our_child=made.our_child,
        their_child=made.their_child,
        our_peer={"force_encapsulation": True},
    )
    with willing.session(forced) as session:
        ours, theirs = session.up("initiator")
        assert ours["udp"]
        assert (theirs["mode"], theirs["encap"]) == ("BEET", "yes")


def test_who_has_no_child_for_beet_mode_answers_charon_with_a_tunnel(willing: Pair) -> None:
    with willing.session(terms(ours="tunnel")) as session:
        ours, theirs = session.up("responder")
        assert (ours["mode"], theirs["mode"]) == ("tunnel", "TUNNEL")


@pytest.mark.parametrize("sends_vendor_id", [True, False])
def test_a_charon_that_answers_with_a_tunnel_is_refused(
    pair: Pair, willing: Pair, sends_vendor_id: bool
) -> None:
    where, reason = (willing, "asked for was beet") if sends_vendor_id else (pair, "vendor ID")
    with where.session(terms(theirs="tunnel")) as session:
        before = session.charon.said
        with pytest.raises(ControlError, match=reason):
            session.ours.tell("up", peer="charon", child="net")
        if sends_vendor_id:
            session.charon.wait_for_log("closing CHILD_SA", after=before)
        assert session.charon.children() == []
