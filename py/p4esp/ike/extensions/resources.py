"""Several child SAs with equal selectors, one for each resource that sends (RFC 9611).

The first SA of a child is the fallback: every resource may use it. Whoever wants an SA for a
resource of its own asks with SA_RESOURCE_INFO; who answers gives the pair to that of its own
resources that has fewest. The octets in the notify are a name for people to read, and never
compared.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from p4esp.ike.child_scope import Scope
from p4esp.ike.children import ChildPhase, ChildSa
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.proposal import Proposal, Transform
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import NotifyType, TransformType
from p4esp.ike.errors import Refusal
from p4esp.ike.notifies import note_ignored, usable_data
from p4esp.ike.proposals import Template, esp_suite, numbers_of, suite_of
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.sa import Layout, Share
from p4esp.ipsec.selectors import is_subset

NAME_SIZE: Final = 4
"""Octets of the names that we give, a number in network order, as strongSwan's."""
_SIZES: Final = range(256)
_KIND: Final = NotifyType.SA_RESOURCE_INFO
_RESOURCES_LEAST: Final = 8


def name_of_resource(number: int) -> bytes:
    """What a resource of ours is called."""
    return number.to_bytes(NAME_SIZE, "big")


def number_of(share: Share) -> int | None:
    """Which of our resources sends on an SA; None: all do."""
    return None if share.resource is None else int.from_bytes(share.resource, "big")


def most_sas(config: ChildConfig) -> int:
    """SAs of one child that a peer may have us make: two for each resource, for both ends begin,
    and the fallback.
    """
    return 2 * max(config.resources, _RESOURCES_LEAST) + 1


def no_room(offer: PayloadSet) -> NotifyType:
    """What to answer to an offer that is one too many. Who asks for a resource's SA must not think
    that there are no more child SAs at all (RFC 9611 5).
    """
    asked = offer.notify(_KIND) is not None
    return NotifyType.TS_MAX_QUEUE if asked else NotifyType.NO_ADDITIONAL_SAS


class Resources:
    """The term by which a child SA is one for a resource."""

    def asked(self, sa: IkeSaState, config: ChildConfig, share: Share) -> list[Notify]:
        """Our name for the resource."""
        return [] if share.resource is None else [Notify(_KIND, share.resource)]

    def agreed(
        self,
        sa: IkeSaState,
        config: ChildConfig,
        offer: PayloadSet,
        share: Share,
        replaces: ChildSa | None,
    ) -> Share:
        """The resource of ours that has fewest SAs; a rekey leaves it as it was. A child's first SA
        is for all of them, whatever is asked. `Refusal` with TS_MAX_QUEUE: there are enough.
        """
        if replaces is not None:
            return replace(share, resource=replaces.params.share.resource)
        asked = config.resources and usable_data(sa, _KIND, offer, _SIZES) is not None
        others = alike(sa, config, share) if asked else []
        if not others:
            return share
        if len(others) >= most_sas(config):
            reason = f"child {config.name} has {len(others)} SAs, which are the limit"
            raise Refusal(NotifyType.TS_MAX_QUEUE, reason)
        return replace(share, resource=name_of_resource(_least_used(others, config.resources)))

    def answered(
        self, sa: IkeSaState, config: ChildConfig, offer: PayloadSet, share: Share
    ) -> list[Notify]:
        """The notify back, with our own name for our own resource."""
        if not config.resources or usable_data(sa, _KIND, offer, _SIZES) is None:
            return []
        return [Notify(_KIND, share.resource or b"")]

    def accepted(
        self,
        sa: IkeSaState,
        wanted: Share,
        answer: PayloadSet,
        share: Share,
        replaces: ChildSa | None,
    ) -> Share:
        """Our resource, whatever the peer calls its own. A peer that says nothing has made an
        ordinary SA, and on which of them we send is for us alone to say.
        """
        said = usable_data(sa, _KIND, answer, _SIZES)
        if wanted.resource is None and said is not None:
            note_ignored(sa, "SA_RESOURCE_INFO, for which nobody asked")
        return replace(share, resource=wanted.resource)


def alike(sa: IkeSaState, config: ChildConfig, share: Share) -> list[ChildSa]:
    """The SAs of a child that carry the same part of its traffic, whichever resource sends on them;
    that for all resources comes first. What is being replaced or deleted no longer counts.
    """
    found = [child for child in sa.children if _is_alike(child, config, share)]
    return sorted(found, key=lambda child: child.params.share.resource is not None)


def _is_alike(child: ChildSa, config: ChildConfig, share: Share) -> bool:
    own = child.params.share
    same_part = (own.dscps, own.label) == (share.dscps, share.label)
    present = child.phase is not ChildPhase.DELETING and child.successor is None
    return child.config.name == config.name and same_part and present


def _least_used(others: Iterable[ChildSa], resources: int) -> int:
    """Names that a configuration of before has given may be beyond those of today."""
    used = Counter(number_of(child.params.share) for child in others)
    return min(range(resources), key=lambda number: used[number])


def narrowed(templates: Sequence[Template], like: ChildSa) -> tuple[Template, ...]:
    """What may be agreed on for an SA that is to be like another: the same algorithms, and any
    method of key exchange. Empty: the configuration no longer has them.
    """
    kept = (_narrow(item, like) for item in templates if item.protocol == like.protocol)
    return tuple(template for template in kept if template is not None)


def _narrow(template: Template, like: ChildSa) -> Template | None:
    integrities = template.of_type(TransformType.INTEG)
    pairs = [
        (encryption, integrity)
        for encryption in template.of_type(TransformType.ENCR)
        for integrity in integrities or (None,)
        if suite_of(encryption, integrity) == like.params.suite
    ]
    if not pairs:
        return None
    wanted = {transform for pair in pairs for transform in pair if transform is not None}
    fixed = (TransformType.ENCR, TransformType.INTEG)
    kept = [t for t in template.transforms if t.type not in fixed or t in wanted]
    return replace(template, transforms=tuple(t for t in kept if _has_numbers(t, like)))


def _has_numbers(transform: Transform, like: ChildSa) -> bool:
    return transform.type != TransformType.SN or transform.id == numbers_of(like.params)


def check_alike(
    sa: IkeSaState, scope: Scope, chosen: Proposal, layout: Layout, share: Share
) -> None:
    """A new SA for a resource has the algorithms, selectors, mode and format of the others of its
    child (RFC 9611 3); `Refusal` when it has not.
    """
    others = alike(sa, scope.config, share) if share.resource is not None else []
    if not others:
        return
    params = others[0].params
    sides = ((scope.local_ts, params.local_ts), (scope.remote_ts, params.remote_ts))
    same = all(is_subset(new, old) and is_subset(old, new) for new, old in sides)
    if not same or scope.mode is not params.mode:
        reason = f"child {scope.config.name}: not the selectors and mode of SA {params.spi_in:08x}"
        raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)
    if (*esp_suite(chosen), layout) != (params.suite, params.esn, params.layout):
        reason = f"child {scope.config.name}: not algorithms and format of SA {params.spi_in:08x}"
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, reason)
