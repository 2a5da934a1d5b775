"""What a switch holds against the store: untouched if beyond doubt, ended otherwise."""

from dataclasses import replace

import pytest
from controller_samples import record
from hypothesis import given
from hypothesis import strategies as st

from p4esp.controller.entries import Entry
from p4esp.controller.errors import ControllerError
from p4esp.controller.reconcile import Findings, examine
from p4esp.controller.sa_entries import Handles, PairEntries, SaSettings, pair_entries
from p4esp.controller.sa_tuning import LEARNED
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.store import SaRecord, SaState

HANDLES = Handles(open=0xAAAA, seal=0xBBBB)
SETTINGS = SaSettings()
RECORDS = [record(0), record(1), record(2)]


def build(kept: SaRecord, handles: Handles) -> PairEntries:
    return pair_entries(kept, handles, local_id=1, settings=SETTINGS)


def covered(_: SaRecord) -> bool:
    return True


def in_switch(*records: SaRecord) -> list[Entry]:
    return [entry for kept in records for entry in build(kept, HANDLES).all]


def kept(findings: Findings) -> list[SaRecord]:
    return [live.record for live in findings.keep]


def test_an_sa_that_is_all_there_is_kept_under_the_handles_found() -> None:
    findings = examine(RECORDS, in_switch(*RECORDS), build, covered)
    assert kept(findings) == RECORDS
    assert {live.handles for live in findings.keep} == {HANDLES}
    assert (findings.discard, findings.strays, findings.dirty_cells) == ([], [], set())


@pytest.mark.parametrize("missing", range(3))
def test_an_sa_with_a_missing_entry_ends(missing: int) -> None:
    entries = in_switch(RECORDS[0])
    del entries[missing]
    findings = examine(RECORDS[:1], entries, build, covered)
    assert findings.discard == RECORDS[:1]
    assert findings.strays == entries
    assert findings.dirty_cells == {(64, 64)}


def test_an_sa_that_the_configuration_no_longer_covers_ends() -> None:
    entries = in_switch(*RECORDS[:2])
    findings = examine(RECORDS[:2], entries, build, lambda item: item is RECORDS[1])
    assert (findings.discard, kept(findings)) == (RECORDS[:1], RECORDS[1:2])
    assert set(findings.strays) == set(in_switch(RECORDS[0]))


def test_an_sa_whose_entries_cannot_be_made_any_more_ends() -> None:
    def ours_no_more(kept: SaRecord, handles: Handles) -> PairEntries:
        raise ControllerError("192.0.2.1 is not an address of this gateway")

    assert examine(RECORDS[:1], in_switch(RECORDS[0]), ours_no_more, covered).discard == RECORDS[:1]


@pytest.mark.parametrize("state", [SaState.INSTALLING, SaState.DELETING])
def test_an_sa_that_was_not_installed_for_certain_ends_though_all_is_there(state) -> None:
    doubtful = RECORDS[0].moved_to(state)
    findings = examine([doubtful, RECORDS[1]], in_switch(*RECORDS[:2]), build, covered)
    assert findings.discard == [doubtful]
    assert kept(findings) == [RECORDS[1]]
    assert set(findings.strays) == set(in_switch(RECORDS[0]))


@given(st.integers(0, 2), st.data())
def test_an_entry_that_differs_in_one_argument_but_the_key_ends_its_sa(which, data) -> None:
    entries = in_switch(RECORDS[0])
    entry = entries[which]
    fixed = [arg for arg in entry.args if arg[0] not in LEARNED]
    name, value = data.draw(st.sampled_from(fixed))
    args = tuple((n, v + 1 if n == name else v) for n, v in entry.args)
    entries[which] = replace(entry, args=args)
    assert examine(RECORDS[:1], entries, build, covered).discard == RECORDS[:1], (name, value)


@pytest.mark.parametrize(
    ("which", "name"), [(0, "trial_skip"), (0, "trial_from"), (2, "inner_mtu")]
)
def test_what_a_controller_before_us_has_learned_is_forgotten_and_the_sa_stays(which, name) -> None:
    entries, wanted = in_switch(RECORDS[0]), in_switch(RECORDS[0])
    args = tuple((n, v - 1 if v else 1) if n == name else (n, v) for n, v in entries[which].args)
    entries[which] = replace(entries[which], args=args)
    findings = examine(RECORDS[:1], entries, build, covered)
    assert (kept(findings), findings.outdated) == (RECORDS[:1], [wanted[which]])


def test_an_sa_that_nobody_knows_is_a_stray_and_its_cells_are_scrubbed() -> None:
    findings = examine([], in_switch(RECORDS[2]), build, covered)
    assert set(findings.strays) == set(in_switch(RECORDS[2]))
    assert findings.dirty_cells == {(192, 64)}


def test_cells_of_an_sa_that_stays_are_never_scrubbed_for_a_stray() -> None:
    entries = in_switch(RECORDS[0])
    stray = replace(entries[0], match=(("sa", 99),))
    findings = examine(RECORDS[:1], [*entries, stray], build, covered)
    assert (findings.strays, findings.dirty_cells) == ([stray], set())


def test_an_sa_with_several_selector_pairs_is_compared_with_all_of_them() -> None:
    several = tuple(TrafficSelector.of_network(f"10.{n}.0.0/16") for n in (2, 3))
    multi = replace(RECORDS[0], child=replace(RECORDS[0].child, remote_ts=several))
    entries = in_switch(multi)
    assert [entry.table for entry in entries].count("in_policy") == 2
    assert kept(examine([multi], entries, build, covered)) == [multi]
    short = [entry for entry in entries if entry.table != "in_policy"]
    assert examine([multi], short, build, covered).discard == [multi]
