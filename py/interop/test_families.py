"""IPv6 and mixed families between a host behind our gateway and a host behind strongSwan."""

from collections.abc import Iterator

import pytest

from counting import counted
from crossing import IPV4, IPV6, TUNNEL_MTU, Crossing, Families, crossing, ping
from esp_judge import judged
from lab.netlab import Lab

FAMILIES = {
    "6in4": Families((IPV6,), IPV4),
    "6in6": Families((IPV6,), IPV6),
    "4in6": Families((IPV4,), IPV6),
    "4and6in4": Families((IPV4, IPV6), IPV4),
    "6and4in6": Families((IPV6, IPV4), IPV6),
}
HEADERS = {IPV4: 28, IPV6: 48}
"""Octets of IP and ICMP headers."""
RATE = 200.0


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=FAMILIES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crossing]:
    families: Families = request.param
    name = f"fam{list(FAMILIES.values()).index(families)}"
    with Lab(name) as lab, crossing(lab, tmp_path_factory.mktemp(name), families=families) as site:
        for side in families.inner:
            ping(site.here, side.there, "-c", "1")  # neighbours are known from here on
        yield site


def test_all_sizes_up_to_the_path_mtu_cross_both_ways(site: Crossing) -> None:
    for side in site.families.inner:
        for size in (0, 1, 64, 512, TUNNEL_MTU - HEADERS[side]):
            for host, target in ((site.here, side.there), (site.there, side.here)):
                ping(host, target, "-c", "2", "-i", "0.05", "-M", "do", "-s", str(size))


def test_no_packet_is_lost_when_the_child_is_rekeyed_from_either_side(site: Crossing) -> None:
    with counted(*site.forth, RATE) as forth, counted(*site.back, RATE) as back:
        old = site.child()
        site.gateway.tell("rekey", spi=old["spi_in"])
        site.wait_for_end(old)
        old = site.child()
        site.charon.rekey(child="net")
        site.wait_for_end(old)
    for count in (forth, back):
        assert count.sent > RATE / 2
        assert (count.lost, count.repeated) == ([], [])


def test_tshark_finds_every_esp_packet_authentic(site: Crossing) -> None:
    site.recorder.stop()
    verdict = judged(site.capture, site.keys)
    assert (verdict.bad, verdict.unknown) == (0, 0)
    assert verdict.good > 400
    assert verdict.exchanges >= {"34", "35", "36", "37"}
