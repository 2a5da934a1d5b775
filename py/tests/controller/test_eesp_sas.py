"""What EESP, WESPv2 and WESP add to the entries and keys of an SA."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from controller_samples import CHILD, PLACE
from controller_samples import record as sample

from p4esp.controller.entries import Entry
from p4esp.controller.numbers import Format, Wrap
from p4esp.controller.sa_entries import Handles, PairEntries, SaSettings, pair_entries
from p4esp.controller.sa_formats import name_of_format, needed_features, window_of
from p4esp.controller.sa_modes import UnsupportedSaError
from p4esp.controller.sa_tuning import inner_mtu
from p4esp.engine import features
from p4esp.ipsec import sa as ipsec_sa
from p4esp.ipsec.algorithms import suite_named
from p4esp.ipsec.formats import Option, Parameters, format_named
from p4esp.ipsec.layouts import has_roots
from p4esp.ipsec.sa import ChildSaParams, DirectionKeys, Keymat, Layout, Mode
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.store import SaRecord, Sealer, Store
from p4esp.store.records import facts_of

HANDLES = Handles(open=0xAAAA, seal=0xBBBB)
IIV, GCM = suite_named("aes256gcm16iiv"), suite_named("aes256gcm16")
GMAC = suite_named("aes256gmac")
ROOTS = Keymat(DirectionKeys(b"\xa0" * 32, b""), DirectionKeys(b"\xb0" * 32, b""))
V6 = {"local": ip_address("2001:db8::1"), "remote": ip_address("2001:db8::2")}
ONE_KEY = Layout("eesp-optimized", one_key=True)
NO_NUMBERS = Layout("eesp-optimized", 4, 4, numbered=False)
FULL = Layout("eesp-full", 4, 4)
SHOWN = Layout("eesp-full", 4, 4, 32, 32)
MIXED = Layout("eesp-full", 4, 4, 32, 0, "eesp-optimized")
OTHER_WAY = Layout("eesp-optimized", 4, 4, 0, 0, "eesp-full")


def child(layout: Layout, **changed: Any) -> ChildSaParams:
    keymat = ROOTS if has_roots(layout) else CHILD.keymat
    common = {"layout": layout, "suite": GCM, "esn": False, "keymat": keymat}
    return replace(CHILD, **(common | changed))


def record(layout: Layout, **changed: Any) -> SaRecord:
    place = replace(PLACE, spaces_in=layout.subs_in, spaces_out=layout.subs_out, cells=256)
    return replace(sample(), child=child(layout, **changed), placement=place)


def entries(layout: Layout, settings: SaSettings | None = None, **changed: Any) -> PairEntries:
    return pair_entries(record(layout, **changed), HANDLES, 1, settings or SaSettings())


def beside(pair: PairEntries, way: str) -> Entry:
    (entry,) = [entry for entry in pair.all if entry.table == f"format_{way}"]
    return entry


def formats(pair: PairEntries) -> tuple[int, int]:
    return pair.inbound[0].arg("format"), pair.outbound.arg("format")


# Each direction


@pytest.mark.parametrize(
    ("layout", "numbers"),
    [
        (ONE_KEY, (Format.EESP_OPTIMIZED, Format.EESP_OPTIMIZED)),
        (SHOWN, (Format.EESP_FULL, Format.EESP_FULL)),
        (MIXED, (Format.EESP_FULL, Format.EESP_OPTIMIZED)),
        (OTHER_WAY, (Format.EESP_OPTIMIZED, Format.EESP_FULL)),
    ],
    ids=str,
)
def test_each_direction_has_the_format_that_its_receiver_takes(
    layout: Layout, numbers: tuple[int, int]
) -> None:
    pair = entries(layout)
    assert formats(pair) == numbers
    assert {sad.field("protocol") for sad in pair.sad} == {253}
    for number, way in zip(numbers, ("in", "out"), strict=True):
        assert name_of_format(number, beside(pair, way)).startswith("eesp-")


def test_what_is_read_and_sent_is_what_was_agreed_on() -> None:
    pair = entries(SHOWN)
    assert (beside(pair, "in").arg("shown"), beside(pair, "out").arg("shown")) == (32, 32)
    assert (beside(pair, "in").arg("key_step"), beside(pair, "out").arg("key_step")) == (1, 1)
    pair = entries(MIXED)
    assert (beside(pair, "in").arg("shown"), beside(pair, "out").arg("shown")) == (32, 0)
    assert beside(pair, "out").arg("options_len") == 0


def test_with_one_key_there_is_one_session_and_no_step() -> None:
    for way in ("in", "out"):
        entry = beside(entries(ONE_KEY), way)
        assert (entry.arg("last_sub"), entry.arg("key_step")) == (0, 0)


def test_without_numbers_nothing_is_numbered_and_no_window_is_kept() -> None:
    """g.7: off by negotiation only."""
    pair = entries(NO_NUMBERS)
    assert (beside(pair, "in").arg("no_seq"), beside(pair, "out").arg("no_seq")) == (1, 1)
    assert window_of(NO_NUMBERS, 1024) == 0
    assert window_of(SHOWN, 1024) == 1024
    with pytest.raises(UnsupportedSaError, match="accepted: an explicit IV"):
        entries(NO_NUMBERS, suite=IIV)


# Options: where layer 4 must begin at a multiple of 8 octets, a PadN


OPTIONS = [
    (FULL, IIV, {}, 0),
    (FULL, GCM, {}, 0),
    (SHOWN, GCM, {}, 4),
    (ONE_KEY, IIV, V6, 0),
    (ONE_KEY, GCM, V6, 0),
    (FULL, IIV, V6, 4),
    (FULL, GCM, V6, 4),
    (SHOWN, GCM, V6, 4),
    (SHOWN, IIV, V6, 4),
]


@pytest.mark.parametrize(("layout", "suite", "ends", "length"), OPTIONS, ids=str)
def test_options_align_what_follows_over_ipv6(
    layout: Layout, suite: Any, ends: dict[str, Any], length: int
) -> None:
    """The consequences that g.9 draws; the sums are those of the digest."""
    pair = entries(layout, suite=suite, **ends)
    assert beside(pair, "out").arg("options_len") == length
    head = 8 + length + 8 + suite.iv_size + (4 if "full" in str(layout) else 0)
    assert head % (8 if ends else 4) == 0


@pytest.mark.parametrize("path_mtu", range(1400, 1404))
@pytest.mark.parametrize("layout", [ONE_KEY, NO_NUMBERS, FULL, SHOWN, MIXED, OTHER_WAY], ids=str)
@pytest.mark.parametrize("version", [4, 6])
def test_the_inner_mtu_is_the_longest_packet_whose_sealed_form_fits(
    layout: Layout, path_mtu: int, version: int
) -> None:
    """By the registry's arithmetic, which is another."""
    pair = entries(layout, **(V6 if version == 6 else {}))
    form = format_named(layout.format_out or layout.format)
    options = (Option.OFFSET,) if layout.shown_out else ()
    sizes = Parameters(8, 16, 4, layout.shown_out, options, layout.numbered)
    most = inner_mtu(pair.outbound, path_mtu, beside(pair, "out"))
    length = {n: n + form.overhead(n, version, sizes) for n in (most, most + 1)}
    assert length[most] <= path_mtu < length[most + 1]


def test_eesp_has_no_tfc_padding() -> None:
    """g.1: it leaves that to IP-TFS."""
    for layout in (ONE_KEY, SHOWN):
        assert entries(layout, SaSettings(tfc=200)).outbound.arg("tfc_len") == 0


# WESP


def test_wespv2_is_a_format_and_a_wrapping_of_esp() -> None:
    pair = entries(Layout("wesp-v2", 1, 1, 28, 28))
    assert formats(pair) == (Format.WESP_V2, Format.WESP_V2)
    assert {entry.arg("wrap") for entry in (pair.inbound[0], pair.outbound)} == {Wrap.SECOND}
    assert {sad.field("protocol") for sad in pair.sad} == {50}


@pytest.mark.parametrize(
    ("wrap", "suite"), [(ipsec_sa.Wrap.ENCRYPTED, GCM), (ipsec_sa.Wrap.VISIBLE, GMAC)]
)
def test_wesp_is_a_wrapping_alone(wrap: ipsec_sa.Wrap, suite: Any) -> None:
    pair = entries(Layout("wesp"), wrap=wrap, suite=suite, esn=True)
    assert formats(pair) == (Format.PLAIN, Format.PLAIN)
    assert not [entry for entry in pair.all if entry.table.startswith("format")]
    assert name_of_format(0, None, pair.outbound.arg("wrap")) == "wesp"
    assert pair.outbound.arg("wrap") == Wrap[wrap.name]


# Engine and store


def test_an_engine_must_have_what_either_direction_takes() -> None:
    assert needed_features(ONE_KEY) == {features.SHOWN, features.NO_TRAILER}
    assert needed_features(SHOWN) == {features.SHOWN, features.TIH, features.SUB_KEYS}
    both = {features.SHOWN, features.TIH, features.NO_TRAILER, features.SUB_KEYS}
    assert needed_features(MIXED) == needed_features(OTHER_WAY) == both
    assert needed_features(Layout("wesp-v2")) == {features.SHOWN}
    assert needed_features(Layout("wesp")) == frozenset()


@pytest.mark.parametrize("layout", [ONE_KEY, NO_NUMBERS, SHOWN, MIXED, OTHER_WAY], ids=str)
def test_an_sa_comes_back_from_the_store_as_it_was(layout: Layout) -> None:
    store, made = Store(None, Sealer(bytes(32))), record(layout)
    store.add_sa(made)
    assert store.sas("left") == [made]
    assert set(facts_of(made)["layout"]) >= {"format_out", "one_key", "numbered"}


def test_transport_mode_is_full_and_between_two_hosts() -> None:
    hosts = {
        "local_ts": (TrafficSelector(CHILD.local, CHILD.local),),
        "remote_ts": (TrafficSelector(CHILD.remote, CHILD.remote),),
    }
    pair = entries(FULL, mode=Mode.TRANSPORT, **hosts)
    assert formats(pair) == (Format.EESP_FULL, Format.EESP_FULL)
    with pytest.raises(UnsupportedSaError, match="accepted: tunnel"):
        entries(ONE_KEY, mode=Mode.TRANSPORT, **hosts)
