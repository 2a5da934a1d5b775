"""Rekeys: key exchange methods that are compared early, and messages that say only what is new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from p4esp.agenda.configuring import child, extension, only, together
from p4esp.agenda.model import Claim, Evidence, Item, Run
from p4esp.demo.lab import Lab
from p4esp.ike.endpoint import IkeEndpoint
from p4esp.service.journal import Kind

_DIFFER: Final = "only key exchange methods differ"
_UNEQUAL: Final = together(
    only("left", child(proposals=["aes256gcm16-x25519-noesn"])),
    only("right", child(proposals=["aes256gcm16-noesn"])),
)


def _ask(lab: Lab, request: Callable[[IkeEndpoint, float], None]) -> None:
    lab.gateway(lab.left).ike.command(request)


async def _rekey_in_vain(lab: Lab) -> None:
    """The tunnel is up, and its child SA can't be replaced."""
    await lab.tunnel_up()
    (old,) = lab.gateway(lab.left).sas.negotiated
    _ask(lab, lambda endpoint, now: endpoint.rekey_child(old, now))
    await lab.happened(lab.left, Kind.SA_FAILED)


async def _come_up_in_vain(lab: Lab) -> None:
    for site in lab.sites:
        await lab.happened(site, Kind.SA_FAILED)


async def _rekey_both(lab: Lab) -> None:
    """The child SA, then the IKE SA."""
    await lab.tunnel_up()
    (old,) = lab.gateway(lab.left).sas.negotiated
    _ask(lab, lambda endpoint, now: endpoint.rekey_child(old, now))
    for site in lab.sites:
        await lab.happened(site, Kind.SA_REMOVED)
    (ike,) = lab.gateway(lab.left).connections.established
    _ask(lab, lambda endpoint, now: endpoint.rekey_ike(ike, now))
    for site in lab.sites:
        await lab.happened(site, Kind.IKE_DOWN)


def _octets(evidence: Evidence) -> int:
    return sum(evidence.octets_of(f"CREATE_CHILD_SA {way}") for way in ("request", "response"))


def _without_selectors(evidence: Evidence) -> bool:
    sent = evidence.messages_of("CREATE_CHILD_SA request")
    return bool(sent) and not any({"SA", "TSI"} & set(message.payloads) for message in sent)


ITEMS: Final = (
    Item(
        "child-pfs-info",
        "KE (Diffie-Hellman) issues with rekeys: child SA PFS information",
        ("draft-ietf-ipsecme-child-pfs-info-00",),
        "py/tests/ike/test_child_pfs_info.py"
        "::test_methods_that_do_not_meet_fail_the_child_sa_at_once_and_leave_the_ike_sa_up",
        having=Run(together(extension(pfs_info=True), _UNEQUAL), _come_up_in_vain, packets=False),
        lacking=Run(_UNEQUAL, _rekey_in_vain),
        claims=(
            Claim(
                "without it the ends find out at a rekey that they differ",
                lambda before, _: (
                    before.says(_DIFFER) and bool(before.messages_of("CREATE_CHILD_SA request"))
                ),
            ),
            Claim(
                "with it when they are authenticated, and the IKE SA is up",
                lambda _, after: (
                    after.says(_DIFFER)
                    and not after.messages_of("CREATE_CHILD_SA request")
                    and after.agreed("CHILD_SA_PFS_INFO_SUPPORTED")
                ),
            ),
        ),
    ),
    Item(
        "optimized-rekey",
        "Optimized rekeys: without SA and TS payloads",
        ("draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt-04",),
        "py/tests/ike/test_optimized_rekey.py::test_octets_are_saved",
        having=Run(extension(pfs_info=True, optimized_rekey=True), _rekey_both),
        lacking=Run(drive=_rekey_both),
        claims=(
            Claim(
                "rekeys hold neither SA nor TS payloads",
                lambda _, after: _without_selectors(after),
            ),
            Claim(
                "they are shorter",
                lambda before, after: _octets(after) < _octets(before),
            ),
        ),
    ),
)
