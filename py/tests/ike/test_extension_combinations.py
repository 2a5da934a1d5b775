"""Any extensions at either end: the two end in SAs that carry traffic and can be rekeyed, or in the
error that the specification names, and nothing in between.
"""

from dataclasses import dataclass, fields, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ike_lab import EAST_NET, STEADY, WEST_NET, Lab, child, east_config, make_node, west_config
from ike_ledger import assert_mirrored, live

from p4esp.ike.config import Childless, FormatWish, PeerConfig, Settings
from p4esp.ike.constants import KE_NONE, TransformType
from p4esp.ike.events import ChildFailed, ChildRekeyed, IkeDown, IkeEstablished, IkeRekeyed
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.proposals import Template

IKE = ("aes256gcm16-prfsha256-x25519", "aes256gcm16-prfsha256-x25519-ke1_ecp256-ke1_none")
ESP = ("aes256gcm16-noesn", "aes256gcm16-x25519-noesn", "aes256gcm16-x25519-modpnone-noesn")
FORMATS = (FormatWish(), FormatWish("crypt-offset", shown=4), FormatWish("sub-child", subs=4))
SWITCHES = [field.name for field in fields(ExtensionWishes)]


@dataclass(frozen=True)
class End:
    """What one end is configured for."""

    wishes: ExtensionWishes
    experimental: bool
    ike: str
    esp: str
    format: FormatWish
    required: bool

    def changes(self, nets: tuple[str, str]) -> dict[str, object]:
        wish = replace(self.format, required=self.required and not self.format.plain)
        made = replace(child(*nets), proposals=(Template.esp(self.esp),), format=wish)
        ike = (Template.ike(self.ike),)
        return {"extensions": self.wishes, "proposals": ike, "children": (made,)}

    @property
    def settings(self) -> Settings:
        return Settings(retransmission=STEADY, experimental=self.experimental)


def wishes() -> st.SearchStrategy[ExtensionWishes]:
    """All, or any; what both ends must have to have an effect would else be rare."""
    any_of_them = st.builds(ExtensionWishes, **dict.fromkeys(SWITCHES, st.booleans()))
    return st.just(ExtensionWishes(**dict.fromkeys(SWITCHES, True))) | any_of_them


def ends() -> st.SearchStrategy[End]:
    return st.builds(
        End,
        wishes(),
        st.sampled_from([True, True, True, False]),
        st.sampled_from(IKE),
        st.sampled_from(ESP),
        st.sampled_from(FORMATS),
        st.booleans(),
    )


class Pair(Lab):
    """Two endpoints with settings of their own."""

    def __init__(self, west: End, east: End, childless: Childless, seed: int) -> None:
        ours = west_config(**west.changes((WEST_NET, EAST_NET)), childless=childless)
        theirs = east_config(**east.changes((EAST_NET, WEST_NET)))
        super().__init__(ours, theirs, seed=seed)
        self.west = make_node([ours], seed, west.settings)
        self.east = make_node([theirs], seed + 1, east.settings)
        self.nodes = dict(zip(self.nodes, (self.west, self.east), strict=True))

    @property
    def ends(self) -> tuple[PeerConfig, PeerConfig]:
        return self.west_config, self.east_config


def methods(end: End) -> set[int]:
    """Key exchange methods that an end has for its child SA; none is one of them."""
    found = {t.id for t in Template.esp(end.esp).of_type(TransformType.KE)}
    return found or {KE_NONE}


def share_numbers(west: End, east: End) -> bool:
    """Whether private numbers mean anything between the two: each end has something to say."""
    return all(
        end.experimental and (end.wishes.experimental or not end.format.plain)
        for end in (west, east)
    )


def has_format(west: End, east: End) -> bool:
    return share_numbers(west, east) and west.format.name == east.format.name


def is_refused(west: End, east: End) -> bool:
    """Whether one end insists on a format that the two do not agree on."""
    insists = any(end.required and not end.format.plain for end in (west, east))
    return insists and not has_format(west, east)


def compare_methods(west: End, east: End, childless: Childless) -> bool:
    """Whether the exchange that makes the first child SA tells whether methods fit."""
    if childless is Childless.FORCE:
        return True
    return share_numbers(west, east) and west.wishes.pfs_info and east.wishes.pfs_info


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ends(),
    ends(),
    st.sampled_from([Childless.ALLOW, Childless.FORCE]),
    st.integers(1, 10**6),
)
def test_any_extensions_end_in_sas_that_can_be_rekeyed_or_in_the_error_that_is_named(
    west, east, childless, seed
):
    lab = Pair(west, east, childless, 2 * seed)
    lab.connect()
    assert [len(node.of(IkeEstablished)) for node in (lab.west, lab.east)] == [1, 1]
    fit = bool(methods(west) & methods(east))
    refused = is_refused(west, east) or (compare_methods(west, east, childless) and not fit)
    lab.run(5)
    if refused:
        assert_refused(lab, "NO_PROPOSAL_CHOSEN")
        return
    assert_carries(lab, west, east)
    rekey_children(lab, fit=fit)
    rekey_ike_sas(lab)
    end(lab)


def assert_refused(lab: Lab, name: str) -> None:
    """West was told why, or saw it itself, and no child SA is left; the IKE SA stays."""
    assert_mirrored(lab)
    assert live(lab.west) == live(lab.east) == {}
    assert len(lab.west.endpoint.ike_sas) == 1
    reasons = [failed.reason for failed in lab.west.of(ChildFailed)]
    assert reasons, "nobody was told"
    assert all(name in reason or "required" in reason for reason in reasons)


def assert_carries(lab: Lab, west: End, east: End) -> None:
    """One child SA with the same keys at both ends, in the format that both want."""
    assert_mirrored(lab)
    (mine,) = live(lab.west).values()
    wanted = west.format.name if has_format(west, east) else "esp"
    assert mine.layout.format == wanted


def rekey_children(lab: Lab, *, fit: bool) -> None:
    for node in (lab.west, lab.east):
        (spi,) = live(node)
        done, failed = len(node.of(ChildRekeyed)), len(node.of(ChildFailed))
        node.endpoint.rekey_child(spi, lab.now)
        lab.run(5)
        assert_mirrored(lab)
        assert len(live(node)) == 1, "a rekey that is refused leaves the old one"
        assert len(node.of(ChildRekeyed)) - done == int(fit)
        assert len(node.of(ChildFailed)) - failed == int(not fit)


def rekey_ike_sas(lab: Lab) -> None:
    for node in (lab.west, lab.east):
        done = len(node.of(IkeRekeyed))
        (ike,) = node.endpoint.ike_sas
        node.endpoint.rekey_ike(ike.spi, lab.now)
        lab.run(5)
        assert len(node.of(IkeRekeyed)) == done + 1
        assert_mirrored(lab)
        assert len(live(node)) == 1


def end(lab: Lab) -> None:
    (ike,) = lab.west.endpoint.ike_sas
    lab.west.endpoint.delete_ike(ike.spi, lab.now)
    lab.run(60)
    for node in (lab.west, lab.east):
        assert node.of(IkeDown)
        assert node.endpoint.ike_sas == []
        assert live(node) == {}
