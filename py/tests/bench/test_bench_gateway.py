"""The benchmarks measure packets that really go through: each pass, and the whole gateway."""

from pathlib import Path

import pytest
from bench import topology as top
from bench.device import WrongWayError, check_way, gateway_device
from bench.packets import Pass, traffic
from bench.session import Session
from bench.suites import gateway_path, ike_handshakes
from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.layers.l2 import Ether

from p4esp.switch.device import Device

SESSION = Session(Path(__file__).parents[3])


@pytest.fixture(scope="module")
def device() -> Device:
    return gateway_device(SESSION, top.FLOWS)


@pytest.mark.parametrize("which", list(Pass))
def test_every_packet_of_a_pass_leaves_by_the_right_port(device: Device, which: Pass) -> None:
    check_way(device, traffic(which, 64))


def test_a_packet_that_goes_elsewhere_stops_the_benchmark() -> None:
    with pytest.raises(WrongWayError, match=r"port 0 and left by \[510\], not by 509"):
        check_way(gateway_device(SESSION, 0), traffic(Pass.OUTBOUND_1, 64))


def test_what_the_seal_benchmark_seals_is_esp_that_scapy_opens() -> None:
    gateway = gateway_path.gateway_and_engine(SESSION)
    clear = traffic(Pass.OUTBOUND_1, gateway_path.SIZE).frames[5]
    (sealed,) = gateway.carry(top.PROTECTED_PORT, [clear])
    sa = SecurityAssociation(
        ESP,
        spi=top.spi(5),
        crypt_algo="AES-GCM",
        crypt_key=gateway_path.key_of(5) + gateway_path.SALT,
        tunnel_header=IP(src=str(top.GATEWAY), dst=str(top.PEER)),
        esn_en=True,
    )
    inner = sa.decrypt(Ether(sealed)[IP])
    assert bytes(inner)[20:] == clear[34:]


def test_what_the_open_benchmark_opens_leaves_in_clear() -> None:
    gateway = gateway_path.gateway_and_engine(SESSION)
    opened = gateway.carry(top.UNPROTECTED_PORT, gateway_path.esp_frames(seq=1)[:3])
    assert [Ether(frame)[IP].src for frame in opened] == ["10.1.0.0", "10.1.0.1", "10.1.0.2"]


def test_a_handshake_of_the_benchmark_ends_with_a_child_sa() -> None:
    ike_handshakes.handshake()
