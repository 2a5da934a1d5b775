"""ESN resynchronisation (RFC 4303 A3): lost subspaces are found, garbage costs little."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from lab_helpers import PROGRAM, drops, host_frame, outcomes, passes
from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP

from p4esp.controller.esn_resync import MOST, THRESHOLD, EsnResync
from p4esp.controller.sa_installer import LiveSa
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import OUTSIDE, Change
from p4esp.demo.site import Site
from p4esp.service.journal import Kind

SUBSPACE = 1 << 32
NEVER = 1e9


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A lab whose controller leaves resynchronisation to the test."""
    async with running_lab(PROGRAM) as running, asyncio.timeout(20):
        await running.stop_controller()
        running.start_controller(resync_interval=NEVER)
        await running.tunnel_up()
        yield running


def live(lab: Lab, site: Site) -> LiveSa:
    sas = lab.gateway(site).sas
    (spi,) = sas.negotiated & sas.live.keys()
    return sas.live[spi]


def resync(lab: Lab) -> EsnResync:
    """The right site's, in the hands of the test."""
    gateway = lab.gateway(lab.right)
    assert gateway.link is not None
    return EsnResync(gateway.link.session, gateway.sas, gateway.link.state, lab.journal)


async def advance(lab: Lab, value: int) -> None:
    """The left site has sent so many packets."""
    gateway = lab.gateway(lab.left)
    assert gateway.link is not None
    space = live(lab, lab.left).record.placement.space_out
    await gateway.link.state.advance_sequence(space, value)


def top_of(lab: Lab) -> int:
    space = live(lab, lab.right).record.placement.space_in
    return lab.right.device.register_array("window_top").read(space)


def trial(lab: Lab) -> tuple[int, int]:
    entry = live(lab, lab.right).entries.inbound[0]
    return entry.arg("trial_from"), entry.arg("trial_skip")


def send(lab: Lab, packets: int = THRESHOLD) -> None:
    for _ in range(packets):
        lab.left.host.send(host_frame(lab.left, lab.right))
    lab.wire.deliver()


def notes(lab: Lab) -> list[str]:
    return [entry.text for entry in lab.journal.entries if entry.kind is Kind.RESYNC]


def garbage(lab: Lab, packets: int, seq: int = 5) -> None:
    """ESP packets of the right SPI that nobody with the key has made."""
    sa = live(lab, lab.right).record.child
    macs = lab.right.plan.mac(OUTSIDE) + lab.left.plan.mac(OUTSIDE)
    for number in range(packets):
        esp = ESP(spi=sa.spi_in, seq=seq + number, data=bytes(60))
        packet = IP(src=str(sa.remote), dst=str(sa.local)) / esp
        lab.right.device.inject(OUTSIDE, macs + b"\x08\0" + bytes(packet))


@pytest.mark.parametrize("subspaces", [1, 3, MOST])
async def test_esn_05_the_subspace_is_found_and_traffic_resumes(lab: Lab, subspaces: int) -> None:
    await advance(lab, subspaces * SUBSPACE + 5000)
    job = resync(lab)
    for _ in range(2):
        send(lab)
        await job.check()
    for _ in range(subspaces):
        send(lab)
        await job.check()
        assert drops(lab.right)["BAD_ICV"] > 0
    assert trial(lab) == (0, subspaces)
    assert await passes(lab, lab.left, lab.right)
    assert top_of(lab) >> 32 == subspaces
    await job.end_trials()
    await job.check()
    assert await passes(lab, lab.left, lab.right)
    assert trial(lab) == (0, 0)
    assert notes(lab)[-1] == "packets are accepted again"


async def test_esn_05_end_to_end_by_the_gateway_itself() -> None:
    async with running_lab(PROGRAM) as lab, asyncio.timeout(20):
        await lab.stop_controller()
        lab.start_controller(resync_interval=0.1)
        await lab.tunnel_up()
        await advance(lab, 2 * SUBSPACE + 5000)
        while not await passes(lab, lab.left, lab.right):
            send(lab, 8)
            lab.right.host.receive()
            await asyncio.sleep(0.005)
        assert top_of(lab) >> 32 == 2


async def test_esn_05_beyond_the_bound_an_alarm_is_raised_and_nothing_is_tried_any_more(
    lab: Lab,
) -> None:
    await advance(lab, (MOST + 1) * SUBSPACE + 5000)
    job = resync(lab)
    for _ in range(MOST + 6):
        send(lab)
        await job.check()
        await job.end_trials()
    assert notes(lab)[-1] == f"given up: none of {MOST} subspaces was right"
    assert len(notes(lab)) == 2
    assert (trial(lab), top_of(lab)) == ((0, 0), 0)


async def test_esn_06_garbage_between_valid_packets_triggers_nothing(lab: Lab) -> None:
    job = resync(lab)
    for _ in range(100):
        garbage(lab, 100, seq=2000)
        assert await passes(lab, lab.left, lab.right)
        await job.check()
    assert (notes(lab), trial(lab), top_of(lab)) == ([], (0, 0), 100)
    assert drops(lab.right)["BAD_ICV"] == 10_000


async def test_esn_06_garbage_alone_costs_a_bounded_number_of_questions_and_moves_no_top(
    lab: Lab,
) -> None:
    assert await passes(lab, lab.left, lab.right)
    job, asked = resync(lab), outcomes(lab.right)["ANSWERED"]
    for _ in range(100):
        garbage(lab, 100)
        await job.check()
        await job.end_trials()
    assert outcomes(lab.right)["ANSWERED"] - asked == MOST + 1
    assert (top_of(lab), trial(lab)) == (1, (0, 0))
    assert await passes(lab, lab.left, lab.right)
    assert top_of(lab) == 2


async def test_fewer_failures_than_the_threshold_are_no_reason(lab: Lab) -> None:
    job = resync(lab)
    await job.check()
    garbage(lab, 1)
    await job.check()
    garbage(lab, THRESHOLD - 1)
    for _ in range(3):
        await job.check()
    assert notes(lab) == []
    garbage(lab, 1)
    await job.check()
    assert len(notes(lab)) == 1


async def test_between_trials_packets_in_order_pass(lab: Lab) -> None:
    """Garbage can begin trials; it must not keep an SA from what it receives rightly."""
    job = resync(lab)
    await job.check()
    for _ in range(2):
        garbage(lab, THRESHOLD)
        await job.check()
    assert trial(lab)[1] > 0
    await job.end_trials()
    assert await passes(lab, lab.left, lab.right)


async def test_an_sa_of_32_bit_numbers_is_not_looked_at() -> None:
    change = Change(esp=("aes128gcm16-noesn",))
    async with running_lab(PROGRAM, change) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        job = resync(lab)
        for _ in range(3):
            garbage(lab, 2 * THRESHOLD)
            await job.check()
        assert notes(lab) == []
