"""Packets between a host behind our gateway and a host behind strongSwan."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from counting import Count, counted
from crossing import HERE, THERE, TUNNEL_MTU, Crossing, crossing, ping
from esp_judge import judged
from lab.logged_process import LoggedProcess
from lab.netlab import Lab, Namespace

RATE = 200.0
"""Numbered packets a second in each direction."""


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossing]:
    with crossing(lab, tmp_path_factory.mktemp("crossing")) as site:
        ping(site.here, THERE, "-c", "1")  # neighbours are known from here on
        yield site


def test_echo_crosses_both_ways(site: Crossing) -> None:
    for host, target in ((site.here, THERE), (site.there, HERE)):
        assert "5 received" in ping(host, target, "-c", "5", "-i", "0.05").stdout


@pytest.mark.parametrize("size", [0, 1, 64, 512, 1024, TUNNEL_MTU - 29, TUNNEL_MTU - 28])
def test_all_sizes_up_to_the_path_mtu_cross(site: Crossing, size: int) -> None:
    for host, target in ((site.here, THERE), (site.there, HERE)):
        ping(host, target, "-c", "2", "-i", "0.05", "-M", "do", "-s", str(size))


def we_rekey_the_child(site: Crossing) -> None:
    site.gateway.tell("rekey", spi=site.child()["spi_in"])


def charon_rekeys_the_child(site: Crossing) -> None:
    with site.charon.watch() as events:
        site.charon.rekey(child="net")
        events.wait("child-rekey")


def we_rekey_the_ike_sa(site: Crossing) -> None:
    (ike,) = site.gateway.ike_sas()
    site.gateway.tell("rekey-ike", spi=ike["spi"])


def charon_rekeys_the_ike_sa(site: Crossing) -> None:
    with site.charon.watch() as events:
        site.charon.rekey(ike="us")
        events.wait("ike-rekey")


def complete(count: Count) -> bool:
    return count.sent > RATE / 2 and not count.lost and not count.repeated


@pytest.mark.parametrize("rekey", [we_rekey_the_child, charon_rekeys_the_child])
def test_no_packet_is_lost_when_the_child_is_rekeyed(
    site: Crossing, rekey: Callable[[Crossing], None]
) -> None:
    with counted(*site.forth, RATE) as forth, counted(*site.back, RATE) as back:
        for _ in range(2):
            old = site.child()
            rekey(site)
            site.wait_for_end(old)
    assert complete(forth), (forth.sent, forth.lost, forth.repeated)
    assert complete(back), (back.sent, back.lost, back.repeated)


@pytest.mark.parametrize("rekey", [we_rekey_the_ike_sa, charon_rekeys_the_ike_sa])
def test_no_packet_is_lost_when_the_ike_sa_is_rekeyed(
    site: Crossing, rekey: Callable[[Crossing], None]
) -> None:
    with counted(*site.forth, RATE) as forth, counted(*site.back, RATE) as back:
        rekey(site)
        old = site.child()
        we_rekey_the_child(site)  # under the new IKE SA
        site.wait_for_end(old)
    assert complete(forth), (forth.sent, forth.lost, forth.repeated)
    assert complete(back), (back.sent, back.lost, back.repeated)


def test_a_deleted_child_is_made_again_and_carries_traffic(site: Crossing) -> None:
    said = site.gateway.controller.said
    site.gateway.tell("delete", spi=site.child()["spi_in"])
    site.gateway.controller.wait_for("SA up charon/net", after=said)
    ping(site.here, THERE, "-c", "3", "-i", "0.05")


REVERSE = pytest.mark.parametrize("reverse", [[], ["--reverse"]], ids=["forth", "back"])


def iperf(site: Crossing, directory: Path, *options: str) -> dict[str, Any]:
    """What iperf3 reports at the end."""
    with iperf_server(site.there, directory):
        words = ("iperf3", "--json", "--client", THERE, *options)
        end: dict[str, Any] = json.loads(site.here.run(*words).stdout)["end"]
        return end


@REVERSE
def test_tcp_crosses(site: Crossing, tmp_path: Path, reverse: list[str]) -> None:
    """Few octets, because tshark reads the capture afterwards; iperf3 ends with its sender."""
    end = iperf(site, tmp_path, "--bytes", "4M", *reverse)
    assert end["sum_received"]["bytes"] > 2_000_000


@REVERSE
def test_udp_of_iperf_crosses_without_loss(
    site: Crossing, tmp_path: Path, reverse: list[str]
) -> None:
    flow = ("--udp", "--time", "2", "--bitrate", "2M", "--length", "1372")
    end = iperf(site, tmp_path, *flow, *reverse)
    assert end["sum"]["packets"] > 300
    assert end["sum"]["lost_packets"] == 0


@contextmanager
def iperf_server(host: Namespace, directory: Path) -> Iterator[None]:
    """A server for one test."""
    words = ("iperf3", "--server", "--one-off", "--forceflush")
    with LoggedProcess(host, words, directory / "iperf3.log") as server:
        server.wait_for("Server listening")
        yield


def test_tshark_finds_every_esp_packet_authentic(site: Crossing) -> None:
    site.recorder.stop()
    verdict = judged(site.capture, site.keys)
    assert (verdict.bad, verdict.unknown) == (0, 0)
    assert verdict.good > 1000
    assert verdict.exchanges >= {"34", "35", "36", "37"}
