"""Numbers that stand in the switch for what the configuration names, kept from one start of the
controller to the next.
"""

from collections.abc import Iterable
from typing import Final

from p4esp.controller.errors import ControllerError
from p4esp.store import Store

MAX_POLICIES: Final = 65536


class PolicyIds:
    """A number for each protect rule, kept for as long as a rule of that name exists."""

    def __init__(self, store: Store, gateway: str, most: int = MAX_POLICIES) -> None:
        """`most`: the first number that is too large."""
        self._store = store
        self._gateway = gateway
        self._most = most
        self._ids = store.policy_ids(gateway)
        self._rules = {number: rule for rule, number in self._ids.items()}
        self._lowest = 1
        """No lower number is free."""

    def of(self, rule: str) -> int:
        """The number of a rule, new if need be; policy 0 is never used."""
        if rule not in self._ids:
            number = self._lowest_free()
            self._store.add_policy_id(self._gateway, rule, number)
            self._ids[rule], self._rules[number] = number, rule
        return self._ids[rule]

    def rule(self, policy: int) -> str | None:
        """The name of the rule with a number."""
        return self._rules.get(policy)

    def keep(self, rules: Iterable[str]) -> None:
        """Give back the numbers of all other rules, once nothing in the switch names them."""
        for rule in self._ids.keys() - set(rules):
            self._store.remove_policy_id(self._gateway, rule)
            number = self._ids.pop(rule)
            del self._rules[number]
            self._lowest = min(self._lowest, number)

    def _lowest_free(self) -> int:
        while self._lowest in self._rules:
            self._lowest += 1
        if self._lowest >= self._most:
            raise ControllerError(f"{self._gateway}: all {self._most - 1} policy ids are in use")
        return self._lowest
