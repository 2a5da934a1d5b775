"""Child SA PFS information and optimized rekeys, as two gateways' packets see them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from lab_helpers import PROGRAM, delivered, host_frame, passes, sa_tables

from p4esp.agenda.configuring import child, extension, only, together
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import Change
from p4esp.demo.site import Site
from p4esp.ike.trace import TraceKind
from p4esp.service.explanations import explain
from p4esp.service.failures import failures_in
from p4esp.service.journal import Kind

CHANGE = Change(
    esp=("aes256gcm16-x25519-esn",), amend=extension(pfs_info=True, optimized_rekey=True)
)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with running_lab(PROGRAM, CHANGE) as running, asyncio.timeout(60):
        await running.tunnel_up()
        yield running


def rekeys(lab: Lab) -> list[tuple[str, ...]]:
    """Payloads of the CREATE_CHILD_SA messages that were sent."""
    return [
        record.payloads
        for _, record in lab.trace
        if record.kind is TraceKind.SENT and "CREATE_CHILD_SA" in record.message
    ]


async def both(lab: Lab, kind: Kind) -> None:
    """Wait until something has happened once more at both sites."""
    for site in lab.sites:
        await lab.happened(site, kind)


@pytest.mark.parametrize("number", [0, 1], ids=["left", "right"])
async def test_packets_go_on_under_sas_that_were_made_without_a_word_about_them(
    lab: Lab, number: int
) -> None:
    site = lab.sites[number]
    before = {side.plan.name: await facts_of_sas(lab, side) for side in lab.sites}
    (old,) = lab.gateway(site).sas.negotiated
    lab.gateway(site).rekey_child(old)
    await both(lab, Kind.SA_REMOVED)
    (ike,) = lab.gateway(site).connections.established
    lab.gateway(site).ike.command(lambda endpoint, now: endpoint.rekey_ike(ike, now))
    await both(lab, Kind.IKE_DOWN)
    shown = rekeys(lab)
    assert len(shown) == 4
    assert all("N(OPTIMIZED_REKEY)" in payloads for payloads in shown)
    assert not any({"SA", "TSI", "TSR"} & set(payloads) for payloads in shown)
    assert {side.plan.name: await facts_of_sas(lab, side) for side in lab.sites} == before
    assert await passes(lab, lab.left, lab.right)
    assert await passes(lab, lab.right, lab.left)


async def facts_of_sas(lab: Lab, site: Site) -> dict[str, int]:
    """Of the outbound SA what a rekey must not change: suite, numbers, selectors' entries."""
    entries = await sa_tables(lab, site)
    (sa_out,) = (entry for entry in entries if entry.table == "sa_out")
    own = ("spi", "generation", "key", "space")
    kept = {name: value for name, value in sa_out.args if name not in own}
    return kept | dict(Counter(entry.table for entry in entries))


async def test_methods_that_do_not_meet_leave_no_sa_and_no_packet_and_are_explained() -> None:
    """Found when the gateways are authenticated; nothing of the hosts leaves in clear."""
    wrong = together(extension(pfs_info=True), only("right", child(proposals=["aes256gcm16-esn"])))
    change = Change(esp=("aes256gcm16-x25519-esn",), amend=wrong)
    async with running_lab(PROGRAM, change) as lab, asyncio.timeout(60):
        await lab.happened(lab.left, Kind.SA_FAILED)
        await lab.happened(lab.right, Kind.SA_FAILED)
        assert all(lab.gateway(site).connections.established for site in lab.sites)
        assert not await sa_tables(lab, lab.left) | await sa_tables(lab, lab.right)
        lab.left.host.send(host_frame(lab.left, lab.right))
        await asyncio.sleep(0)
        lab.wire.deliver()
        assert delivered(lab.right.host.receive()) == []
        found = {(item.gateway, item.explanation) for item in explain(failures_in(lab.journal))}
        assert ("right", "pfs-mismatch") in found
        assert ("left", "no-esp-proposal") in found


async def test_the_ike_sas_method_makes_a_rekey_possible_that_the_list_would_not() -> None:
    """The left names no method, the right the one that the IKE SA has."""
    change = Change(
        esp=("aes256gcm16-esn",),
        amend=together(
            only("left", child(key_exchange="ike")),
            only("right", child(proposals=["aes256gcm16-x25519-esn"])),
        ),
    )
    async with running_lab(PROGRAM, change) as lab, asyncio.timeout(60):
        await lab.tunnel_up()
        (old,) = lab.gateway(lab.left).sas.negotiated
        lab.gateway(lab.left).rekey_child(old)
        await both(lab, Kind.SA_REMOVED)
        assert all("KE" in payloads for payloads in rekeys(lab))
        assert await passes(lab, lab.left, lab.right)
