"""The index of installed SAs agrees with a search through all of them."""

from dataclasses import replace

from controller_samples import record
from hypothesis import given
from hypothesis import strategies as st

from p4esp.controller.live_sas import LiveSas
from p4esp.controller.sa_installer import LiveSa

names = st.sampled_from("ab")
changes = st.lists(st.tuples(st.integers(0, 9), names, names, st.booleans()), max_size=40)


def sa(number: int, peer: str, name: str) -> LiveSa:
    base = record(number)
    nothing: object = None
    return LiveSa(
        replace(base, child=replace(base.child, peer=peer, name=name)),
        *(nothing, nothing),  # type: ignore[arg-type]
    )


@given(changes)
def test_every_way_to_ask_finds_what_a_search_finds(steps) -> None:
    index, present = LiveSas(), {}
    for number, peer, name, arrives in steps:
        live = sa(number, peer, name)
        spi = live.record.child.spi_in
        if arrives:
            index[spi] = present[spi] = live
        else:
            assert index.pop(spi, None) is present.pop(spi, None)
    assert index == present
    for peer in "ab":
        assert spis(index.of_peer(peer)) == spis(of(present, peer, "ab"))
        for name in "ab":
            assert spis(index.of_child(peer, name)) == spis(of(present, peer, name))
    by_inbound = {live.record.placement.sa_in: live for live in present.values()}
    assert all(index.by_inbound_index(number) is by_inbound.get(number) for number in range(20))
    by_index = {live.record.placement.sa_out: live for live in present.values()}
    for number in range(10):
        sa_out = record(number).placement.sa_out
        assert index.by_outbound_index(sa_out) is by_index.get(sa_out)
        live, base = by_index.get(sa_out), record(number)
        assert index.by_inbound_index(base.placement.sa_in) is live
        assert index.by_outbound_spi(base.child.spi_out) == ([live] if live else [])


def of(present: dict[int, LiveSa], peer: str, names: str) -> list[LiveSa]:
    children = ((live, live.record.child) for live in present.values())
    return [live for live, child in children if child.peer == peer and child.name in names]


def spis(sas: list[LiveSa]) -> set[int]:
    return {live.record.child.spi_in for live in sas}
