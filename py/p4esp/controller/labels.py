"""Security labels in the switch (RFC 9478): small numbers, which the next start of a controller
finds again. So no packet meets a rule of one configuration with the label of another.
"""

from collections.abc import Callable, Iterable
from typing import Final

from p4esp.controller.errors import ControllerError
from p4esp.controller.policy_ids import PolicyIds
from p4esp.store import Store

NUMBERS: Final = 256
"""Numbers there are; 0 stands for no label."""

LabelNumber = Callable[[bytes], int]


class LabelNumbers:
    """The numbers of one gateway."""

    def __init__(self, store: Store, gateway: str) -> None:
        self._ids = PolicyIds(store, f"{gateway}/labels", NUMBERS)

    def of(self, label: bytes) -> int:
        """The number of a label, new if need be; 0 of none."""
        return self._ids.of(label.decode()) if label else 0

    def keep(self, labels: Iterable[bytes]) -> None:
        """Give back the numbers of all other labels, once nothing in the switch has them."""
        self._ids.keep(label.decode() for label in labels)


def no_labels(label: bytes) -> int:
    """The number of a label where there are none."""
    if label:
        raise ControllerError(f"label {label!r} has no number; accepted: none")
    return 0
