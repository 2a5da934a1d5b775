"""The benchmarks measure packets that really go through: each pass, and the whole gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import topology as top
from bench.device import WrongWayError, check_way, gateway_device
from bench.ike_pair import Pair
from bench.packets import Pass, traffic
from bench.session import Session
from bench.suites import gateway_path
from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.layers.l2 import Ether

from p4esp.controller.numbers import Drop
from p4esp.switch.device import Device
from p4esp.switch.runtime.arrays import Counters

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
    gateway.carry(top.PROTECTED_PORT, [clear])
    (sealed,) = gateway.left
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
    gateway.carry(top.UNPROTECTED_PORT, gateway_path.esp_frames(seq=1)[:3])
    assert [Ether(frame)[IP].src for frame in gateway.left] == ["10.1.0.0", "10.1.0.1", "10.1.0.2"]


def test_of_two_copies_in_one_burst_the_commit_drops_one() -> None:
    """Both pass the check, for the window moves after decryption only (RFC 4303 3.4.3)."""
    gateway = gateway_path.gateway_and_engine(SESSION)
    frames = gateway_path.esp_frames(seq=1)
    gateway.carry(top.UNPROTECTED_PORT, [frames[0], frames[1], frames[0]])
    assert [Ether(frame)[IP].src for frame in gateway.left] == ["10.1.0.0", "10.1.0.1"]
    drops = next(c for name, c in _counters(gateway.device) if name.endswith("drops"))
    assert drops.read(Drop.REPLAY_LATE).packets == 1


def test_a_benchmark_whose_packets_do_not_all_leave_stops() -> None:
    gateway = gateway_path.gateway_and_engine(SESSION)
    frames = [traffic(Pass.OUTBOUND_1, 64).frames[0], bytes(64)]
    with pytest.raises(WrongWayError, match="1 of 2 packets left"):
        gateway_path.check_all_leave(gateway, top.PROTECTED_PORT, frames)


def _counters(device: Device) -> Iterator[tuple[str, Counters]]:
    assert device.program is not None
    return ((name, device.counter_array(name)) for name in device.program.counters)


def test_a_handshake_of_the_benchmark_ends_with_a_child_sa() -> None:
    Pair().handshake()
