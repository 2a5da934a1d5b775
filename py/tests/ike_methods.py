"""Two IKE endpoints with ESP proposals of their own that compare key exchange methods in IKE_AUTH,
or rekey without what does not change.
"""

from collections.abc import Sequence
from dataclasses import replace

from ike_lab import (
    EAST_NET,
    STEADY,
    WEST_NET,
    Lab,
    Node,
    child,
    east_config,
    west_config,
)
from ike_ledger import live

from p4esp.ike.children import ChildSa
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.config import ChildConfig, ChildKe, Settings
from p4esp.ike.constants import ExchangeType
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions.standard import STANDARD
from p4esp.ike.proposals import Template
from p4esp.ike.tasks.base import Inbound
from p4esp.ike.trace import TraceKind

SETTINGS = Settings(retransmission=STEADY, experimental=True)
PFS = ExtensionWishes(pfs_info=True)
BOTH = ExtensionWishes(pfs_info=True, optimized_rekey=True)
NEITHER = ExtensionWishes()


def methods_lab(
    west: str,
    east: str | None = None,
    *,
    wishes: tuple[ExtensionWishes, ExtensionWishes] = (PFS, PFS),
    connect: bool = True,
    more: Sequence[object] = (),
    settings: Settings = SETTINGS,
    ike: str = "",
    ke: tuple[ChildKe, ChildKe] = (ChildKe.LISTED, ChildKe.LISTED),
    nets: tuple[str, str] = (WEST_NET, EAST_NET),
    **changes: object,
) -> Lab:
    """Each end with an ESP proposal string; `more` are extensions beside the usual ones, `changes`
    those of both children.
    """
    texts = west, west if east is None else east
    facts = zip(texts, (nets, nets[::-1]), ke, strict=True)
    children = [_child(text, ends, {"ke": one, **changes}) for text, ends, one in facts]
    same = {"proposals": (Template.ike(ike),)} if ike else {}
    lab = Lab(
        west_config(children=(children[0],), extensions=wishes[0], **same),
        east_config(children=(children[1],), extensions=wishes[1], **same),
        settings=settings,
        extensions=(*STANDARD, *more),
    )
    if connect:
        lab.connect()
    return lab


def _child(text: str, ends: tuple[str, str], changes: dict[str, object]) -> ChildConfig:
    templates = tuple(Template.esp(one) for one in text.split())
    return replace(child(*ends), proposals=templates, **changes)  # type: ignore[arg-type]


def rekey(lab: Lab, role: str = "west") -> None:
    node: Node = getattr(lab, role)
    node.endpoint.rekey_child(next(iter(live(node))), lab.now)
    lab.settle()


def rekey_ike(lab: Lab, role: str = "west") -> None:
    node: Node = getattr(lab, role)
    node.endpoint.rekey_ike(node.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()


def children_of(node: Node) -> list[ChildSa]:
    """The child SAs of an end, as IKE knows them."""
    return [made for entry in node.endpoint._entries.values() for made in entry.sa.children]


def only_child(node: Node) -> ChildSa:
    (made,) = children_of(node)
    return made


def sent(node: Node, exchange: ExchangeType, since: int = 0) -> list[tuple[str, ...]]:
    """The payloads of messages that an end has sent in an exchange."""
    return [
        trace.payloads
        for trace in node.traces[since:]
        if trace.kind is TraceKind.SENT and trace.header and trace.header.exchange == exchange
    ]


def ignored(node: Node) -> list[str]:
    """What the audit has of notifies and payloads that were not used."""
    return [trace.reason for trace in node.traces if trace.reason.startswith("ignored")]


class Speaker:
    """An extension that says, and perhaps sees, what a test wants."""

    def __init__(self, exchange: ExchangeType, *payloads: object, response: bool | None = None):
        """`response`: only in responses, or only in requests; None: in both."""
        self._exchange, self._payloads, self._response = exchange, payloads, response
        self.seen: list[Inbound] = []

    def received(self, sa: object, message: Inbound) -> None:
        self.seen.append(message)

    def additions(self, sa: object, exchange: ExchangeType, *, response: bool) -> list[object]:
        fits = exchange == self._exchange and self._response in (None, response)
        return list(self._payloads) if fits else []


def transforms_shown(speaker: Speaker) -> list[list[tuple[int, int]]]:
    """Types and IDs of the proposals that a speaker has seen in IKE_AUTH."""
    return [
        [(t.type, t.id) for proposal in association.proposals for t in proposal.transforms]
        for message in speaker.seen
        if message.header.exchange == ExchangeType.IKE_AUTH
        for association in message.payloads.every(SecurityAssociation)
    ]
