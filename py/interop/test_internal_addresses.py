"""Internal addresses, given by either side (RFC 7296 2.19)."""

import pytest

from p4esp.service.control_client import ControlError
from pairing import Pair, Terms
from vici import ViciError

OUR_CHILD = {"local": ["0.0.0.0/0", "::/0"]}
THEIR_CHILD = {"remote_ts": ["dynamic"]}


@pytest.mark.parametrize(
    ("versions", "addresses"),
    [([4], ["10.98.0.1"]), ([6], ["fd98::1"]), ([4, 6], ["10.98.0.1", "fd98::1"])],
)
def test_we_get_an_address(pair: Pair, versions: list[int], addresses: list[str]) -> None:
    case = "-".join(map(str, versions))  # a pool of its own: its last lease may end late
    pools = {f"four-{case}": "10.98.0.0/28", f"six-{case}": "fd98::/120"}
    terms = Terms(
        our_peer={"request_addresses": versions},
        our_child={**OUR_CHILD, "remote": ["10.99.2.0/24", "fd99:2::/64"]},
        their_connection={"pools": list(pools)},
        their_child={**THEIR_CHILD, "local_ts": ["10.99.2.0/24", "fd99:2::/64"]},
    )
    for name, prefix in pools.items():
        facts = {"addrs": prefix, "dns": ["10.99.2.53", "fd99:2::53"]}
        pair.charon.vici.request("load-pool", **{name: facts})
    with pair.session(terms) as session:
        ours, _ = session.up("initiator")
        assert session.their_ike()["remote-vips"] == addresses
        hosts = [f"{address}/{128 if ':' in address else 32}" for address in addresses]
        assert ours["local_ts"] == hosts
        config = session.ours.wait("internal-addresses")["config"]
        assert config["addresses"] == addresses
        assert config["dns"]


def giving(*pools: str, **assign: object) -> Terms:
    """We give addresses to a peer that asks for one of each version."""
    return Terms(
        our_peer={"assign": {"pools": list(pools), "dns": ["10.99.1.53"], **assign}},
        our_child={"remote": list(pools)},
        their_connection={"vips": ["0.0.0.0"]},
        their_child={"local_ts": ["dynamic"], "remote_ts": ["10.99.1.0/24"]},
    )


def test_we_give_an_address_and_the_same_one_again(pair: Pair) -> None:
    with pair.session(giving("10.98.1.0/28")) as session:
        for _ in range(2):
            ours, _ = session.up("responder")
            assert session.their_ike()["local-vips"] == ["10.98.1.1"]
            assert ours["remote_ts"] == ["10.98.1.1/32"]
            pair.charon.terminate(ike="us")


def test_who_must_ask_for_an_address_and_does_not_is_refused(pair: Pair) -> None:
    terms = Terms(
        our_peer={"assign": {"pools": ["10.98.1.0/28"]}},
        our_child={"remote": ["10.98.1.0/28"]},
        their_child={"local_ts": ["10.98.1.1/32"]},
    )
    with pair.session(terms) as session:
        with pytest.raises(ViciError):
            pair.charon.initiate("net")
        pair.charon.wait_for_log("FAILED_CP_REQUIRED|CP_REQ")
        assert session.ours.status()["child_sas"] == []


def test_we_make_no_child_when_there_is_no_address(pair: Pair) -> None:
    terms = Terms(our_peer={"request_addresses": [4]}, our_child=OUR_CHILD)
    with (
        pair.session(terms) as session,
        pytest.raises(ControlError, match=r"INTERNAL_ADDRESS_FAILURE|no internal address"),
    ):
        session.ours.tell("up", peer="charon", child="net")
