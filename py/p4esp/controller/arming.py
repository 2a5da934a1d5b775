"""Which resources the pipeline tells of when they send without an SA of their own (RFC 9611)."""

from collections.abc import Callable, Collection

from p4esp.controller.link import SwitchLink
from p4esp.controller.policy_ids import PolicyIds
from p4esp.controller.protect_rules import ProtectRules


class SetArming:
    """Has the pipeline say when resources send that have no SA, on the present link if any: the
    next one begins with all of them.
    """

    def __init__(
        self, link: Callable[[], SwitchLink | None], rules: ProtectRules, ids: PolicyIds
    ) -> None:
        self._link = link
        self._rules = rules
        self._ids = ids

    async def arm(
        self, wanted: tuple[str, str], resources: Collection[int], *, wanting: bool
    ) -> None:
        """`ControllerError` when the switch does not follow."""
        link = self._link()
        if link is not None:
            policy = self._ids.of(self._rules.of(*wanted).name)
            await link.selection.want(policy, resources, wanting=wanting)
