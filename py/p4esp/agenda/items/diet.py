"""Diet-ESP: what both ends know of a packet is not sent."""

from __future__ import annotations

from typing import Final

from p4esp.agenda.configuring import child, together
from p4esp.agenda.model import Claim, Evidence, Item, Run, Section
from p4esp.demo.plan import LEFT, RIGHT

_HOSTS: Final = {LEFT.name: (LEFT.host, RIGHT.host), RIGHT.name: (RIGHT.host, LEFT.host)}


def _between_hosts(name: str, section: Section) -> None:
    """Child SA and rule are for the two hosts alone."""
    local, remote = (f"{host}/32" for host in _HOSTS[name])
    for part in (section["peers"][0]["children"][0], section["policies"][0]):
        part.update(local=[local], remote=[remote])


_IMPLICIT: Final = ["aes256gcm16iiv-noesn"]
_COMPRESSED: Final = child(format="diet-esp", format_required=True, proposals=_IMPLICIT)


def _templates(evidence: Evidence) -> list[int]:
    """How many SAs of the left gateway have one, outbound and inbound."""
    return [len(evidence.entries(table)) for table in ("diet_out", "diet_in")]


ITEMS: Final = (
    Item(
        "diet-esp",
        "Diet-ESP contexts",
        ("diet-esp-07, gaps ours", "draft-ietf-ipsecme-ikev2-diet-esp-extension-05"),
        "py/tests/controller/test_diet_end_to_end.py"
        "::test_a_flow_is_smaller_on_the_wire_and_arrives_identical",
        having=Run(together(_between_hosts, _COMPRESSED)),
        lacking=Run(_between_hosts),
        claims=(
            Claim(
                "both gateways send an octet of the SPI and two of the number",
                lambda _, after: all(
                    sa["format"] == "diet-esp, octets of SPI 1, of number 2, no trailer"
                    for end in after.children.values()
                    for sa in end
                ),
            ),
            Claim(
                "a template says what the SA compresses, both ways",
                lambda before, after: (
                    [
                        len(run.entries(t))
                        for run in (before, after)
                        for t in ("diet_out", "diet_in")
                    ]
                    == [0, 0, 1, 1]
                ),
            ),
        ),
    ),
)
