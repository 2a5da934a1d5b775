"""Any extensions at either end: the two end in SAs that carry traffic and can be rekeyed, or in the
error that the specification names, and nothing in between.
"""

from dataclasses import dataclass, fields, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ike_lab import EAST, STEADY, WEST, Lab, child, east_config, make_node, west_config
from ike_ledger import assert_mirrored, live
from ppk_lab import AUTH, INT, NONE, key, policy

from p4esp.ike.config import Childless, FormatWish, PeerConfig, Settings
from p4esp.ike.constants import KE_NONE, TransformType
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildFailed,
    ChildRekeyed,
    ChildUp,
    IkeDown,
    IkeEstablished,
    IkeRekeyed,
    InitRefused,
    NegotiationFailed,
)
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.ppk import PostquantumKey, PpkMode, PpkPolicy
from p4esp.ike.proposals import Template
from p4esp.ipsec.sa import Mode, Share

RESOURCE = Share(resource=bytes((0, 0, 0, 1)))
LABELS = (), (b"secret",), (b"public", b"secret")
IKE = ("aes256gcm16-prfsha256-x25519", "aes256gcm16-prfsha256-x25519-ke1_ecp256-ke1_none")
ESP = tuple(f"aes256gcm16iiv-{more}noesn" for more in ("", "x25519-", "x25519-modpnone-"))
FORMATS = (
    FormatWish(),
    FormatWish("crypt-offset", shown=4),
    FormatWish("sub-child", subs=4),
    FormatWish("eesp-optimized", subs=4),
    FormatWish("diet-esp"),
)
CLASS = (46,)
HOSTS = str(WEST), str(EAST)
"""Selectors that any mode and format can have."""
KEYS = key("one"), key("one", bytes(32)), key("two")
"""Of the second the name is that of the first, and the value another."""
MODES = ((INT, AUTH), (INT,), (AUTH,))
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
    labels: tuple[bytes, ...]
    label_required: bool
    resources: int
    classes: tuple[tuple[int, ...], ...]
    mode: Mode
    mode_required: bool
    ppk: PpkPolicy | None

    @property
    def wish(self) -> FormatWish:
        """The configuration takes formats with tunnels alone here."""
        format_ = self.format if self.mode is Mode.TUNNEL else FormatWish()
        return replace(format_, required=self.required and not format_.plain)

    @property
    def private(self) -> bool:
        """Whether there is something to say in private numbers."""
        return self.wishes.experimental or not self.wish.plain or bool(self.classes)

    def changes(self, nets: tuple[str, str]) -> dict[str, object]:
        made = replace(
            child(*nets),
            proposals=(Template.esp(self.esp),),
            format=self.wish,
            labels=self.labels,
            label_required=self.label_required,
            resources=self.resources,
            dscp_classes=self.classes,
            mode=self.mode,
            mode_required=self.mode_required or self.mode is Mode.TUNNEL,
        )
        ike = (Template.ike(self.ike),)
        same = {"extensions": self.wishes, "proposals": ike, "children": (made,)}
        return {**same, "ppk": self.ppk}

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
        st.sampled_from((LABELS[0], *LABELS)),
        st.booleans(),
        st.sampled_from([0, 4]),
        st.sampled_from([(), (CLASS,)]),
        st.sampled_from([Mode.TUNNEL, *Mode]),
        st.booleans(),
        st.none() | ppks(),
    )


def ppks() -> st.SearchStrategy[PpkPolicy]:
    return st.builds(
        lambda one, modes, required, rekey: policy(
            one, modes=modes, required=required, rekey=rekey
        ),
        *(st.sampled_from(KEYS), st.sampled_from(MODES), st.booleans(), st.booleans()),
    )


class Pair(Lab):
    """Two endpoints with settings of their own."""

    def __init__(self, west: End, east: End, childless: Childless, seed: int) -> None:
        ours = west_config(**west.changes(HOSTS), childless=childless)
        theirs = east_config(**east.changes(HOSTS[::-1]))
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
    return all(end.experimental and end.private for end in (west, east))


def has_format(west: End, east: End) -> bool:
    return share_numbers(west, east) and west.wish.name == east.wish.name


def is_refused(west: End, east: End) -> bool:
    """Whether one end insists on a format that the two do not agree on."""
    return any(end.wish.required for end in (west, east)) and not has_format(west, east)


def knows_beet(end: End, other: End) -> bool:
    """Who has a child in BEET mode sends strongSwan's vendor ID."""
    return other.mode is Mode.BEET or share_numbers(end, other)


def can_have(end: End, other: End) -> Mode:
    """The mode that an end asks for or is asked for; a tunnel where the number means nothing."""
    unknown = end.mode is Mode.BEET and not knows_beet(end, other)
    return Mode.TUNNEL if unknown else end.mode


def mode_of(west: End, east: End) -> Mode | None:
    """What the two agree on; None: no child SA."""
    modes = can_have(west, east), can_have(east, west)
    agreed = modes[0] if modes[0] is modes[1] else Mode.TUNNEL
    declined = [end for end in (west, east) if end.mode is not agreed and end.mode_required]
    return None if any(end.mode is not Mode.TUNNEL for end in declined) else agreed


def ppk_mode(west: End, east: End) -> PpkMode:
    """The way that both ends have, the better one first."""
    if west.ppk is None or east.ppk is None:
        return NONE
    return next((mode for mode in west.ppk.modes if mode in east.ppk.modes), NONE)


def ppk_of(end: End) -> PostquantumKey:
    assert end.ppk is not None
    (one,) = end.ppk.source.offer()
    return one


def has_ppk(west: End, east: End) -> bool:
    return ppk_mode(west, east) is not NONE and ppk_of(west) == ppk_of(east)


def is_unauthenticated(west: End, east: End) -> bool:
    """Whether an end insists on a PPK that is not used, or takes another for it in IKE_AUTH, where
    nothing shows before AUTH that the name stands for another value.
    """
    if has_ppk(west, east):
        return False
    if any(end.ppk is not None and end.ppk.required for end in (west, east)):
        return True
    alone = ppk_mode(west, east) is AUTH
    return alone and ppk_of(west).identity == ppk_of(east).identity


def label_of(west: End, east: End) -> bytes | None:
    """What the two agree on, empty for none; None: no child SA."""
    if not west.labels:
        return None if east.labels and east.label_required else b""
    return next((label for label in east.labels if label in west.labels), None)


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
    lab.run(5)
    if is_unauthenticated(west, east):
        assert_unauthenticated(lab)
        return
    assert_established(lab, west, east)
    fit = bool(methods(west) & methods(east))
    unfit = compare_methods(west, east, childless) and not fit
    if is_refused(west, east) or unfit or None in (label_of(west, east), mode_of(west, east)):
        assert_refused(lab)
        return
    assert_carries(lab, west, east)
    rekey_children(lab, fit=fit)
    rekey_ike_sas(lab)
    if fit and west.resources:
        add_resource(lab, west, east)
    if fit and west.classes:
        add_class(lab, west, east)
    end(lab)


def assert_unauthenticated(lab: Lab) -> None:
    lab.run(200)
    for node in (lab.west, lab.east):
        assert node.of(ChildUp) == []
        assert node.endpoint.ike_sas == []
        assert node.spis.used == set()
    told = [*lab.west.of(AuthenticationFailed), *lab.west.of(InitRefused)]
    assert told or lab.west.of(NegotiationFailed)


def assert_established(lab: Lab, west: End, east: End) -> None:
    mode = ppk_mode(west, east) if has_ppk(west, east) else NONE
    for node in (lab.west, lab.east):
        assert len(node.of(IkeEstablished)) == 1
        (ike,) = node.endpoint.ike_sas
        assert ike.ppk is mode
    assert lab.west.endpoint.ike_sas[0].extensions == lab.east.endpoint.ike_sas[0].extensions


def assert_refused(lab: Lab) -> None:
    """West was told why, or saw it itself, and no child SA is left; the IKE SA stays."""
    assert_mirrored(lab)
    assert live(lab.west) == live(lab.east) == {}
    assert len(lab.west.endpoint.ike_sas) == 1
    reasons = [failed.reason for failed in lab.west.of(ChildFailed)]
    assert reasons, "nobody was told"
    known = "NO_PROPOSAL_CHOSEN", "TS_UNACCEPTABLE", "required", "label", "mode"
    assert all(any(word in reason for word in known) for reason in reasons)


def assert_carries(lab: Lab, west: End, east: End) -> None:
    """One child SA with the same keys at both ends, in the format that both want."""
    assert_mirrored(lab)
    (mine,) = live(lab.west).values()
    wanted = west.wish.name if has_format(west, east) else "esp"
    assert mine.layout.format == wanted
    assert {sa.mode for node in lab.nodes.values() for sa in live(node).values()} == {
        mode_of(west, east)
    }
    assert mine.share == Share(label=label_of(west, east) or b"")


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


def add_resource(lab: Lab, west: End, east: End) -> None:
    """An SA for one of west's resources: an ordinary one where east has none (RFC 9611 3)."""
    (ike,) = lab.west.endpoint.ike_sas
    (label,) = {sa.share.label for sa in live(lab.west).values()}
    share = replace(RESOURCE, label=label)
    lab.west.endpoint.create_child(ike.spi, "net", lab.now, share=share)
    lab.run(5)
    assert_mirrored(lab)
    assert len(live(lab.west)) == 2
    assert {sa.share.resource for sa in live(lab.west).values()} == {None, RESOURCE.resource}
    theirs = [sa for sa in live(lab.east).values() if sa.share.resource is not None]
    assert len(theirs) == bool(east.resources)


def add_class(lab: Lab, west: End, east: End) -> None:
    """An SA for one of west's classes, where east has it too."""
    before = len(live(lab.west))
    (ike,) = lab.west.endpoint.ike_sas
    (label,) = {sa.share.label for sa in live(lab.west).values()}
    share = Share(dscps=CLASS, label=label)
    lab.west.endpoint.create_child(ike.spi, "net", lab.now, share=share)
    lab.run(5)
    assert_mirrored(lab)
    made = share_numbers(west, east) and bool(east.classes)
    for node in (lab.west, lab.east):
        assert len(live(node)) == before + made
        assert [sa.share for sa in live(node).values() if sa.share.dscps] == [share] * made


def end(lab: Lab) -> None:
    (ike,) = lab.west.endpoint.ike_sas
    lab.west.endpoint.delete_ike(ike.spi, lab.now)
    lab.run(60)
    for node in (lab.west, lab.east):
        assert node.of(IkeDown)
        assert node.endpoint.ike_sas == []
        assert live(node) == {}
