"""Any commands from both ends over a bad wire: once it heals, both ends agree (RFC 7296 2.25)."""

import random
from contextlib import suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ike_lab import EAST_NET, LATENCY, WEST_NET, Lab, child, east_config, west_config
from ike_ledger import assert_mirrored, live

from p4esp.ike.errors import CommandError
from p4esp.ike.events import ChildDown, ChildRekeyed, ChildUp, IkeDown, IkeEstablished, IkeRekeyed

SIDES = st.sampled_from(["west", "east"])
HEAL = 400.0
"""Seconds after which every request has been answered or given up, liveness checks included."""


class TwoGateways(RuleBasedStateMachine):
    """Two endpoints; the model is what the events of each side add up to."""

    @initialize(seed=st.integers(1, 10**6))
    def connect(self, seed):
        children = child(WEST_NET, EAST_NET), child("10.7.0.0/16", "10.8.0.0/16", "second")
        mirrored = child(EAST_NET, WEST_NET), child("10.8.0.0/16", "10.7.0.0/16", "second")
        self.lab = Lab(
            west_config(children=children, dpd_delay=60.0),
            east_config(children=mirrored, dpd_delay=60.0),
            seed=2 * seed,
        )
        self.rng = random.Random(seed)
        self.lab.connect()

    def node(self, side):
        return getattr(self.lab, side)

    def live(self, side):
        return live(self.node(side))

    @precondition(lambda self: self.live("west"))
    @rule(side=SIDES, pick=st.integers(0, 9), what=st.sampled_from(["rekey_child", "delete_child"]))
    def act_on_a_child(self, side, pick, what):
        spis = sorted(self.live(side))
        if spis:
            with suppress(CommandError):
                getattr(self.node(side).endpoint, what)(spis[pick % len(spis)], self.lab.now)

    @rule(side=SIDES, name=st.sampled_from(["net", "second"]))
    def create_child(self, side, name):
        for info in self.node(side).endpoint.ike_sas:
            with suppress(CommandError):
                self.node(side).endpoint.create_child(info.spi, name, self.lab.now)

    @rule(side=SIDES)
    def rekey_ike(self, side):
        for info in self.node(side).endpoint.ike_sas:
            with suppress(CommandError):
                self.node(side).endpoint.rekey_ike(info.spi, self.lab.now)

    @rule(side=SIDES)
    def check_liveness(self, side):
        for info in self.node(side).endpoint.ike_sas:
            with suppress(CommandError):
                self.node(side).endpoint.check_liveness(info.spi, self.lab.now)

    @rule(loss=st.floats(0, 0.5), spread=st.floats(0, 6), seconds=st.floats(0, 20))
    def pass_time_on_a_bad_wire(self, loss, spread, seconds):
        def fate(_):
            copies = 0 if self.rng.random() < loss else 1 + (self.rng.random() < 0.2)
            return [LATENCY + self.rng.random() * spread for _ in range(copies)]

        self.lab.fate = fate
        self.lab.run(seconds)

    @rule()
    def heal(self):
        self.lab.fate = lambda _: [LATENCY]
        self.lab.run(HEAL)
        assert_mirrored(self.lab)

    @invariant()
    def the_endpoint_holds_what_its_events_say(self):
        for side in ("west", "east"):
            entries = self.node(side).endpoint._entries.values()
            held = {c.params.spi_in for entry in entries for c in entry.sa.children}
            assert held == set(self.live(side))

    @invariant()
    def ike_sas_go_down_at_most_once(self):
        for side in ("west", "east"):
            node = self.node(side)
            up = [event.ike.spi for event in node.of(IkeEstablished)]
            up += [event.new.spi for event in node.of(IkeRekeyed)]
            down = [event.ike.spi for event in node.of(IkeDown)]
            assert len(set(down)) == len(down)
            assert set(down) <= set(up)

    @invariant()
    def no_key_is_ever_used_twice(self):
        for side in ("west", "east"):
            node = self.node(side)
            made = [e.child for e in node.of(ChildUp)] + [e.new for e in node.of(ChildRekeyed)]
            keys = [child_sa.keymat.inbound.key for child_sa in made]
            assert len(keys) == len(set(keys))

    def teardown(self):
        if hasattr(self, "lab"):
            self.heal()
            for side in ("west", "east"):
                named = {event.child.spi_in for event in self.node(side).of(ChildDown)}
                in_use = set(self.live(side))
                assert self.node(side).spis.used == named | in_use


TestTwoGateways = TwoGateways.TestCase
TestTwoGateways.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
