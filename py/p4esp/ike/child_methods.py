"""Which key exchange methods child SAs may have: those of their proposals, that of the IKE SA,
none; and first of all those of the SA to be replaced.
"""

from collections.abc import Iterable
from dataclasses import replace

from p4esp.ike.child_formats import templates_for
from p4esp.ike.children import ChildSa
from p4esp.ike.choosing import without_ke
from p4esp.ike.codec.proposal import Proposal, Transform
from p4esp.ike.config import ChildConfig, ChildKe
from p4esp.ike.constants import KE_NONE, KE_TYPES, NotifyType, TransformType
from p4esp.ike.proposals import Template
from p4esp.ike.state import IkeSaState

Templates = tuple[Template, ...]


def shown_in_auth(sa: IkeSaState) -> bool:
    """Whether SA payloads of IKE_AUTH have key exchange methods (child-pfs-info)."""
    return sa.announced.agreed(NotifyType.CHILD_SA_PFS_INFO_SUPPORTED)


def templates_of(sa: IkeSaState, config: ChildConfig, replaces: ChildSa | None) -> Templates:
    """What a child proposes and accepts, best first. `Refusal` when its format cannot be had."""
    templates = _allowed(sa, config.ke, templates_for(sa, config))
    if replaces is None or not replaces.methods_known:
        return templates
    return _staying_with(replaces.chosen, templates)


def _allowed(sa: IkeSaState, ke: ChildKe, templates: Templates) -> Templates:
    match ke:
        case ChildKe.LISTED:
            return templates
        case ChildKe.NONE:
            return _distinct(map(without_ke, templates))
        case ChildKe.IKE:
            return tuple(_with_ikes(sa, template) for template in templates)
        case ChildKe.OPTIONAL:
            secret = (_with_ikes(sa, template) for template in templates)
            return _distinct((*secret, *map(without_ke, templates)))


def _with_ikes(sa: IkeSaState, template: Template) -> Template:
    """A template that admits the IKE SA's method after its own; one without any takes all that the
    IKE SA has, additional ones included.
    """
    if sa.proposal is None:
        raise RuntimeError("a child SA without an IKE SA")
    own = [t for t in sa.proposal.transforms if t.type in KE_TYPES]
    if any(t.type in KE_TYPES for t in template.transforms):
        own = [t for t in own if t.type == TransformType.KE]
    return replace(template, transforms=tuple(dict.fromkeys((*template.transforms, *own))))


def _distinct(templates: Iterable[Template]) -> Templates:
    return tuple(dict.fromkeys(templates))


def _staying_with(chosen: Proposal, templates: Templates) -> Templates:
    """The same, with what was agreed on last time in front: neither end asks the other to change
    its mind at each rekey.
    """
    wanted = _methods(chosen)
    return tuple(
        sorted(
            (_promoted(template, wanted) for template in templates),
            key=lambda template: not set(chosen.transforms) <= set(template.transforms),
        )
    )


def _methods(chosen: Proposal) -> set[Transform]:
    """What a choice has of each type of key exchange; to leave one out means NONE."""
    found = {t.type: t for t in chosen.transforms if t.type in KE_TYPES}
    return {found.get(type_, Transform(type_, KE_NONE)) for type_ in KE_TYPES}


def _promoted(template: Template, wanted: set[Transform]) -> Template:
    first = [transform for transform in template.transforms if transform in wanted]
    rest = (transform for transform in template.transforms if transform not in wanted)
    return replace(template, transforms=(*first, *rest))
