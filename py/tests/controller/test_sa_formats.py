"""What a format adds to the entries, spaces, keys and limits of an SA."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from controller_samples import CHILD, PLACE
from controller_samples import record as sample

from p4esp.controller import numbers
from p4esp.controller.engine_keys import PairKeys
from p4esp.controller.entries import Entry
from p4esp.controller.numbers import Spread
from p4esp.controller.placement import Placements
from p4esp.controller.pools import PoolExhaustedError, span
from p4esp.controller.reconcile import examine
from p4esp.controller.sa_entries import (
    LAST_EXTENDED_SEQUENCE,
    LAST_SEQUENCE,
    Handles,
    PairEntries,
    SaSettings,
    pair_entries,
)
from p4esp.controller.sa_formats import name_of_format, needed_features
from p4esp.controller.sa_modes import UnsupportedSaError
from p4esp.controller.sa_tuning import inner_mtu
from p4esp.engine import Engine, EngineHealth, KeyStoreError, LocalKeys
from p4esp.engine.keystore import Direction, KeySpec
from p4esp.ipsec.algorithms import SUITES, suite_named
from p4esp.ipsec.formats import FORMATS, Option, Parameters, format_named
from p4esp.ipsec.layouts import has_roots, sent_subs
from p4esp.ipsec.sa import (
    ChildSaParams,
    DirectionKeys,
    Keymat,
    Layout,
    Mode,
    UdpEncapsulation,
    Wrap,
)
from p4esp.service.spi_pool import SpiPool
from p4esp.store import SaRecord, SaState, Sealer, Store
from p4esp.store.records import child_from, facts_of, secret_of

HANDLES = Handles(open=0xAAAA, seal=0xBBBB)
IIV, GCM = suite_named("aes256gcm16iiv"), suite_named("aes256gcm16")
ROOTS = Keymat(DirectionKeys(b"\xa0" * 32, b""), DirectionKeys(b"\xb0" * 32, b""))
LAYOUTS = {
    "esp": Layout(),
    "subspaces": Layout("subspaces", 16, 8),
    "sub-child": Layout("sub-child", 4, 12),
    "spi-block": Layout("spi-block", 3, 12),
    "trailer-in-header": Layout("trailer-in-header"),
    "trailer-in-clear": Layout("trailer-in-clear"),
    "no-trailer": Layout("no-trailer"),
    "header-in-trailer": Layout("header-in-trailer"),
    "crypt-offset": Layout("crypt-offset", 1, 1, 28, 28),
    "crypt-offset-shown": Layout("crypt-offset-shown", 1, 1, 28, 28),
    "wesp-v2": Layout("wesp-v2", 1, 1, 28, 28),
    "eesp-optimized": Layout("eesp-optimized", 4, 12),
    "eesp-full": Layout("eesp-full", 4, 12, 32, 32),
}
SPACES = {
    "subspaces": (16, 8),
    "sub-child": (4, 8),
    "spi-block": (3, 8),
    "eesp-optimized": (4, 8),
    "eesp-full": (4, 8),
}
PROTOCOLS = {"header-in-trailer": 254, "eesp-optimized": 253, "eesp-full": 253}
"""By which an SA is found besides its SPI; else ESP's, in WESP too."""


def child(name: str, **changed: Any) -> ChildSaParams:
    layout = LAYOUTS[name]
    keymat = ROOTS if has_roots(layout) else CHILD.keymat
    common = {"layout": layout, "suite": IIV, "esn": False, "keymat": keymat}
    return replace(CHILD, **(common | changed))


def record(name: str, **changed: Any) -> SaRecord:
    inbound, outbound = SPACES.get(name, (1, 1))
    cells = 64 * span(inbound)
    place = replace(PLACE, spaces_in=inbound, spaces_out=outbound, cells=cells, cell_base=cells)
    return replace(sample(), child=child(name, **changed), placement=place)


def entries(name: str, settings: SaSettings | None = None, **changed: Any) -> PairEntries:
    return pair_entries(record(name, **changed), HANDLES, 1, settings or SaSettings())


def details(pair: PairEntries) -> dict[str, Entry]:
    return {entry.table: entry for entry in pair.all if entry.table.startswith("format")}


# Entries


@pytest.mark.parametrize("name", LAYOUTS)
def test_both_directions_name_the_format_and_a_table_beside_has_its_details(name: str) -> None:
    pair = entries(name)
    number = format_named(name).number
    assert pair.outbound.arg("format") == pair.inbound[0].arg("format") == number
    assert set(details(pair)) == (set() if name == "esp" else {"format_out", "format_in"})
    for entry in details(pair).values():
        assert name_of_format(number, entry) == name
    assert {sad.field("protocol") for sad in pair.sad} == {PROTOCOLS.get(name, 50)}


def test_a_sender_has_a_power_of_two_of_subs_and_a_receiver_all_it_stated() -> None:
    """Each with cells of its own; window 1024 takes 64."""
    found = details(entries("subspaces"))
    assert found["format_in"].arg("last_sub") == 15
    assert found["format_in"].arg("cell_shift") == 6
    assert found["format_out"].arg("last_sub") == 7
    assert found["format_out"].arg("key_step") == found["format_in"].arg("key_step") == 0
    found = details(entries("sub-child"))
    assert found["format_out"].arg("last_sub") == 7
    assert found["format_out"].arg("key_step") == found["format_in"].arg("key_step") == 1


def test_the_operator_chooses_what_spreads_packets_over_subs() -> None:
    settings = SaSettings(spreads={("right", "net"): Spread.DSCP})
    assert details(entries("subspaces", settings))["format_out"].arg("spread") == Spread.DSCP
    assert details(entries("subspaces"))["format_out"].arg("spread") == Spread.FLOW


def test_what_is_shown_is_what_was_agreed_on() -> None:
    found = details(entries("crypt-offset"))
    assert found["format_out"].arg("shown") == found["format_in"].arg("shown") == 28


def test_no_trailer_sends_no_tfc_padding_which_only_a_trailer_could_tell() -> None:
    settings = SaSettings(tfc=200)
    assert entries("no-trailer", settings).outbound.arg("tfc_len") == 0
    assert entries("trailer-in-header", settings).outbound.arg("tfc_len") == 200


UDP = UdpEncapsulation(4500, 4500)
WRONG = {
    "ESN": ("subspaces", {"esn": True}, "accepted: noesn"),
    "explicit IV": ("header-in-trailer", {"suite": GCM}, "accepted: an implicit IV"),
    "UDP": ("header-in-trailer", {"encapsulation": UDP}, "accepted: directly over IP"),
    "WESP": ("trailer-in-clear", {"wrap": Wrap.ENCRYPTED}, "accepted: no WESP"),
    "Diet-ESP": ("esp", {"layout": Layout("diet-esp")}, "accepted: two hosts, or two"),
    "CBC": ("no-trailer", {"suite": suite_named("aes128-sha256")}, "accepted: AES-GCM"),
    "beet": ("no-trailer", {"mode": Mode.BEET}, "has no beet mode"),
    "EESP in UDP": ("eesp-full", {"encapsulation": UDP}, "accepted: directly over IP"),
    "EESP with GMAC": ("eesp-full", {"suite": suite_named("aes256gmac")}, "accepted: AES-GCM"),
    "EESP with BEET": ("eesp-optimized", {"mode": Mode.BEET}, "has no beet mode"),
    "WESPv2 with ESN": ("wesp-v2", {"esn": True}, "accepted: noesn"),
    "WESPv2 in WESP": ("wesp-v2", {"wrap": Wrap.ENCRYPTED}, "accepted: no WESP"),
}


@pytest.mark.parametrize(("name", "changed", "said"), WRONG.values(), ids=WRONG)
def test_what_a_format_does_not_go_with_is_refused_by_name(
    name: str, changed: dict[str, Any], said: str
) -> None:
    sides = {"local_ts": CHILD.local_ts, "remote_ts": CHILD.remote_ts}
    if changed.get("mode") is Mode.BEET:
        sides = {key: (replace(ts[0], last=ts[0].first),) for key, ts in sides.items()}
    with pytest.raises(UnsupportedSaError, match=said):
        entries(name, **sides, **changed)


def test_each_spi_of_a_block_names_a_sub_sa_and_the_next_one_none() -> None:
    """a.12 9."""
    found = {sad.field("spi"): sad.arg("sub") for sad in entries("spi-block").sad}
    assert found == {CHILD.spi_in + sub: sub for sub in range(3)}


def test_spis_of_a_block_are_aligned_free_and_given_back_together() -> None:
    drawn = iter([0x1007, 0x1001, 0x1003, 255, 0x1013, 0x1005])
    pool = SpiPool(lambda _: next(drawn))
    assert pool.allocate(8) == 0x1000
    assert pool.allocate(4) == 0x1010
    pool.release(0x1000)
    assert pool.allocate() == 0x1005


# Lengths


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("path_mtu", range(1400, 1404))
def test_the_inner_mtu_is_the_longest_packet_whose_sealed_form_fits(
    name: str, path_mtu: int
) -> None:
    """By the registry's arithmetic, which is another."""
    for suite in (IIV, GCM) if name != "header-in-trailer" else (IIV,):
        form, shown = format_named(name), LAYOUTS[name].shown_out
        options = (Option.OFFSET,) if name == "eesp-full" else ()
        parameters = Parameters(iv_len=suite.iv_size, shown=shown, options=options)
        pair = entries(name, suite=suite)
        most = inner_mtu(pair.outbound, path_mtu, details(pair).get("format_out"))
        length = {n: n + form.overhead(n, parameters=parameters) for n in (most, most + 1)}
        assert length[most] <= path_mtu < length[most + 1]


# Limits


def test_numbers_that_are_sent_whole_do_not_end_at_2_to_the_32() -> None:
    for name, last in (
        ("esp", LAST_SEQUENCE),
        ("no-trailer", LAST_SEQUENCE),
        ("sub-child", LAST_EXTENDED_SEQUENCE),
        ("header-in-trailer", LAST_EXTENDED_SEQUENCE),
        ("wesp-v2", LAST_SEQUENCE),
        ("eesp-optimized", LAST_EXTENDED_SEQUENCE),
    ):
        assert entries(name).outbound.arg("seq_hard") == last


def test_subspaces_of_one_key_share_its_limit_so_that_their_sum_never_exceeds_it() -> None:
    """Digest b.5 and b.11 8; in the data plane, whichever subspaces are in use."""
    settings = SaSettings(soft_packets=800, hard_packets=1000)
    seal = entries("subspaces", settings).outbound
    assert (seal.arg("seq_soft"), seal.arg("seq_hard")) == (100, 125)
    assert entries("subspaces").outbound.arg("seq_hard") * 8 <= LAST_EXTENDED_SEQUENCE
    seal = entries("sub-child", settings).outbound
    assert (seal.arg("seq_soft"), seal.arg("seq_hard")) == (800, 1000)


def test_a_limit_below_twice_the_number_of_subspaces_is_no_limit_of_an_sa() -> None:
    """A space needs a soft limit before the hard one, and the key must not seal more."""
    layout = LAYOUTS["subspaces"]
    subs = sent_subs(layout)
    with pytest.raises(UnsupportedSaError, match=f"accepted: {2 * subs} or more"):
        SaSettings(hard_packets=2 * subs - 1).limits(esn=False, layout=layout)
    soft, hard = SaSettings(hard_packets=2 * subs).limits(esn=False, layout=layout)
    assert soft < hard == 2


# Spaces and cells


def placements() -> Placements:
    return Placements(Store(None, Sealer(bytes(32))), "left", lambda _: 256)


def spaces(first: int, count: int) -> set[int]:
    return set(range(first, first + count))


def test_spaces_and_cells_of_subs_follow_each_other_and_are_nobody_elses() -> None:
    places = placements()
    sizes = [(16, 8), (1, 1), (3, 256), (1, 1), (12, 1)]
    made = [places.acquire(64, *size) for size in sizes]
    inbound = [spaces(place.space_in, place.spaces_in) for place in made]
    outbound = [spaces(place.space_out, place.spaces_out) for place in made]
    cells = [spaces(place.cell_base, place.cells) for place in made]
    for taken in (inbound, outbound, cells):
        assert len(set.union(*taken)) == sum(map(len, taken))
    assert [place.cells_each for place in made] == [4] * 5
    assert [place.cells for place in made] == [64, 4, 16, 4, 64]
    for place in made:
        places.release(place)
    assert places.cells_used == 0


def test_spaces_that_run_out_leave_nothing_taken() -> None:
    places = placements()
    made = [places.acquire(64, 1, 1 << 14) for _ in range(4)]
    with pytest.raises(PoolExhaustedError, match="outbound sequence spaces"):
        places.acquire(64)
    used = places.cells_used
    places.release(made.pop())
    assert places.acquire(64).sa_in == 3 or places.cells_used == used
    assert places.cells_used == used


def test_spaces_in_the_switch_are_not_handed_out() -> None:
    places, held = placements(), replace(PLACE, space_in=16, space_out=0, spaces_in=12)
    places.reserve(held)
    for _ in range(40):
        place = places.acquire(64)
        assert place.space_in not in spaces(16, 12)
        assert place.space_out != 0
    with pytest.raises(ValueError, match="are not free"):
        placements().reserve(replace(PLACE, space_in=8, spaces_in=12))


# What survives a controller


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_sa_of_each_format_comes_back_from_the_store(name: str) -> None:
    store, made = Store(None, Sealer(bytes(32))), record(name)
    store.add_sa(made)
    assert store.sas("left") == [made]


def test_records_of_before_there_were_formats_are_plain() -> None:
    facts = facts_of(record("esp"))
    del facts["layout"], facts["placement"]["spaces_in"], facts["placement"]["spaces_out"]
    old = child_from(facts, CHILD.spi_in, secret_of(child("esp")))
    assert old == child("esp")
    assert type(PLACE)(**facts["placement"]).spaces_in == 1


def build(kept: SaRecord, handles: Handles) -> PairEntries:
    return pair_entries(kept, handles, local_id=1, settings=SaSettings())


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_sa_whose_entries_all_stand_is_kept_and_one_without_its_format_ends(name: str) -> None:
    made = record(name)
    whole = list(build(made, HANDLES).all)
    assert [live.record for live in examine([made], whole, build, lambda _: True).keep] == [made]
    for beside in details(build(made, HANDLES)).values():
        part = [entry for entry in whole if entry != beside]
        found = examine([made], part, build, lambda _: True)
        assert found.discard == [made]
        assert (made.placement.cell_base, made.placement.cells) in found.dirty_cells


def test_another_spread_is_written_and_ends_nothing() -> None:
    made, settings = record("subspaces"), SaSettings(spreads={("right", "net"): Spread.PORT})
    there = list(pair_entries(made, HANDLES, 1, settings).all)
    found = examine([made], there, build, lambda _: True)
    assert len(found.keep) == 1
    assert [entry.table for entry in found.outdated] == ["format_out"]


def test_cells_of_all_subs_of_nobodys_sa_are_scrubbed() -> None:
    strays = list(build(record("subspaces"), HANDLES).all)
    found = examine([], strays, build, lambda _: True)
    assert found.dirty_cells == {(1024, 1024)}


# Keys


class Keys(LocalKeys):
    """An engine that tells what it was given, and what it can."""

    def __init__(self, *features: str) -> None:
        super().__init__(Engine())
        self.specs: list[KeySpec] = []
        self.able = features

    async def install(self, spec: KeySpec) -> int:
        self.specs.append(spec)
        return await super().install(spec)

    async def health(self) -> EngineHealth:
        return replace(await super().health(), features=self.able)


async def test_an_engine_gets_the_root_and_as_many_sub_keys_as_there_are_spaces() -> None:
    keys = Keys(*needed_features(LAYOUTS["sub-child"]))
    pairs = PairKeys(keys)
    handles = await pairs.install(record("sub-child"))
    opener, sealer = keys.specs
    assert (opener.direction, opener.subs, bytes(opener.key)) == (Direction.OPEN, 4, b"\xa0" * 32)
    assert (sealer.direction, sealer.subs, bytes(sealer.key)) == (Direction.SEAL, 4, b"\xb0" * 32)
    assert opener.kdf == sealer.kdf == "HKDF-SHA2-256"
    assert pairs.holds(handles)
    await pairs.sweep()
    assert pairs.holds(handles)
    await pairs.discard(handles)
    assert (await keys.health()).keys == 0


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "esp"])
async def test_an_engine_of_version_1_is_refused_by_the_name_of_what_it_lacks(name: str) -> None:
    keys = Keys()
    with pytest.raises(KeyStoreError, match=f"format {name} takes an engine with"):
        await PairKeys(keys).install(record(name))
    assert keys.specs == []


async def test_plain_esp_asks_an_engine_for_nothing_more() -> None:
    await PairKeys(Keys()).install(record("esp"))


def test_every_format_of_the_pipeline_has_a_name_of_the_registry() -> None:
    assert {form.number for form in FORMATS} == set(map(int, numbers.Format))
    assert name_of_format(99, None) == "99"


def test_no_suite_of_a_format_is_one_that_its_engine_would_refuse() -> None:
    for suite, name in product(SUITES.values(), LAYOUTS):
        if name != "esp" and not (suite.encryption.aead and suite.encrypts):
            with pytest.raises(UnsupportedSaError):
                entries(name, suite=suite)


def test_states_of_a_record_keep_its_layout() -> None:
    assert record("subspaces").moved_to(SaState.DELETING).child.layout == LAYOUTS["subspaces"]
