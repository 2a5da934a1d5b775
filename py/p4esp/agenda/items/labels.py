"""Labelled IPsec: an SA for traffic of one security label (RFC 9478)."""

from __future__ import annotations

from typing import Final

from p4esp.agenda.model import Claim, Evidence, Item, Run, Section
from p4esp.controller.entries import Entry

_LABEL: Final = "system_u:object_r:secret_t:s0"


def _labelled(_: str, section: Section) -> None:
    """All hosts of a site have the label, and so have its child and its rule."""
    (rule,) = section["policies"]
    section["labels"] = [{"label": _LABEL, "port": 0, "hosts": rule["local"]}]
    section["peers"][0]["children"][0]["labels"] = [_LABEL]
    rule["label"] = _LABEL


def _both_have_it(_: Evidence, after: Evidence) -> bool:
    return all([sa["label"] for sa in sas] == [_LABEL] for sas in after.children.values())


def _numbers(entries: list[Entry]) -> set[object]:
    return {dict(entry.match).get("label") for entry in entries}


def _rules_name_it(before: Evidence, after: Evidence) -> bool:
    """An entry for packets of the site names a number and all bits of it; others name none."""
    return (_numbers(before.entries("spd")), _numbers(after.entries("spd"))) == (
        {(0, 0xFF), None},
        {(1, 0xFF), None},
    )


ITEMS: Final = (
    Item(
        "labels",
        "Labelled IPsec: an SA for a security label",
        ("RFC 9478",),
        "py/tests/controller/test_labels_end_to_end.py"
        "::test_each_label_has_its_own_sa_and_reaches_hosts_of_that_label",
        having=Run(_labelled),
        claims=(
            Claim("both gateways have an SA of the label", _both_have_it),
            Claim("the rule is for packets of the label, not for those without", _rules_name_it),
            Claim(
                "what comes out of the SA has the label",
                lambda _, after: [e.action for e in after.entries("sa_label")] == ["set_label"],
            ),
        ),
    ),
)
