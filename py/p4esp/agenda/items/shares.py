"""Several SAs with equal selectors: one for each resource, and one for each class of DSCPs."""

from __future__ import annotations

from typing import Any, Final

from p4esp.agenda.configuring import child
from p4esp.agenda.model import Claim, Drive, Evidence, Item, Run
from p4esp.demo.lab import Lab
from p4esp.service.journal import Kind

_RESOURCES: Final = 4
_VOICE: Final = [46]
_VIDEO: Final = [34, 36, 38]
_TESTS: Final = "py/tests/controller/test_shares_end_to_end.py"


def _until(number: int) -> Drive:
    """Wait until both gateways have so many SAs."""

    async def drive(lab: Lab) -> None:
        await lab.tunnel_up()
        while any(len(lab.gateway(site).sas.live) < number for site in lab.sites):
            await lab.journal.next(lambda entry: entry.kind is Kind.SA_UP)

    return drive


def _shares(evidence: Evidence, gateway: str) -> list[tuple[str, tuple[int, ...]]]:
    """Resource and class of each SA, in order."""
    sas = evidence.children[gateway]
    return sorted((sa.get("resource", ""), tuple(sa.get("dscps", ()))) for sa in sas)


def _told(evidence: Evidence) -> list[str]:
    """What the SAs of one gateway are for."""
    return [_words(*share) for share in _shares(evidence, "left")]


def _words(resource: str, dscps: tuple[int, ...]) -> str:
    parts = [f"resource {int(resource, 16)}"] if resource else []
    parts += [f"DSCP {', '.join(map(str, dscps))}"] if dscps else []
    return f"an SA for {' and '.join(parts) or 'all that no other has'}"


def _servers(evidence: Evidence) -> set[int]:
    """The SAs to which buckets point."""
    return {entry.arg("sa") for entry in evidence.entries("sa_member")}


def _both_have(text: str, shares: list[tuple[str, tuple[int, ...]]]) -> Claim:
    return Claim(
        f"both gateways have {text}",
        lambda _, after: all(_shares(after, end) == sorted(shares) for end in after.children),
    )


def _item(name: str, title: str, source: str, test: str, run: Run, *claims: Claim) -> Item:
    return Item(name, title, (source,), f"{_TESTS}::{test}", run, claims=claims, negotiated=_told)


_ALL: Final[tuple[str, tuple[int, ...]]] = ("", ())
_EACH: Final[list[Any]] = [(f"{number:08x}", ()) for number in range(_RESOURCES)]

ITEMS: Final = (
    _item(
        "resources",
        "Multiple SA performance: an SA for each resource",
        "RFC 9611",
        "test_eight_resources_carry_eight_flows_with_no_shared_counter",
        Run(
            child(per_resource="eager", parallel=_RESOURCES, spread="flow"),
            _until(_RESOURCES + 1),
        ),
        _both_have("an SA for each resource, and one for all", [_ALL, *_EACH]),
        Claim(
            "buckets of flows point to as many SAs as there are resources",
            lambda before, after: not _servers(before) and len(_servers(after)) == _RESOURCES,
        ),
    ),
    _item(
        "dscp-classes",
        "DSCP notify: an SA for each class",
        "draft-mglt-ipsecme-dscp-np",
        "test_expedited_forwarding_and_video_leave_on_their_sas_and_others_on_the_first",
        Run(child(dscp_classes=[_VOICE, _VIDEO], spread="dscp"), _until(3)),
        _both_have(
            "an SA for each class, and one for all others",
            [_ALL, ("", tuple(_VOICE)), ("", tuple(_VIDEO))],
        ),
        Claim(
            "code points of the classes point to SAs of their own, and no others do",
            lambda _, after: (
                {entry.field("bucket") for entry in after.entries("sa_member")}
                == {*_VOICE, *_VIDEO}
            ),
        ),
    ),
)
