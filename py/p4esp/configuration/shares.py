"""SAs of a child for a share of its traffic each, as a file describes them."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, Field

from p4esp.ike.extensions.dscp_classes import CODE_POINTS

_CodePoint = Annotated[int, Field(ge=0, lt=CODE_POINTS)]
DscpClass = Annotated[
    tuple[_CodePoint, ...], Field(min_length=1), AfterValidator(lambda dscps: tuple(sorted(dscps)))
]


class ShareKeys(Protocol):
    """The keys about shares of a child SA's section."""

    @property
    def parallel(self) -> int:
        """How many SAs."""

    @property
    def per_resource(self) -> Literal["off", "eager", "on-demand"]:
        """Whether each is for a resource, and when it is made."""

    @property
    def spread(self) -> Literal["flow", "port", "dscp"]:
        """What chooses one."""

    @property
    def dscp_classes(self) -> tuple[tuple[int, ...], ...]:
        """Code points with an SA of their own."""


def check_shares(keys: ShareKeys) -> None:
    """ValueError for what does not go together."""
    if keys.per_resource != "off" and keys.parallel < 2:
        raise ValueError(
            f'per_resource = "{keys.per_resource}" with one SA; accepted: parallel = 2..32'
        )
    if not keys.dscp_classes:
        return
    if keys.spread != "dscp":
        raise ValueError(f'dscp_classes with spread = "{keys.spread}"; accepted: spread = "dscp"')
    if keys.parallel > 1 and keys.per_resource == "off":
        raise ValueError(
            "dscp_classes with parallel; accepted: per_resource beside it, or parallel = 1"
        )
    used = Counter(dscp for dscps in keys.dscp_classes for dscp in dscps)
    twice = [dscp for dscp, times in used.items() if times > 1]
    if twice:
        raise ValueError(f"dscp_classes names {twice[0]} twice; accepted: each code point once")


def check_classes(children: Iterable[tuple[str, ShareKeys]], *, allowed: bool) -> None:
    """ValueError for classes without the switch; children go by `peer/child`."""
    for name, child in children:
        if child.dscp_classes and not allowed:
            raise ValueError(
                f"child {name}: dscp_classes is experimental; "
                "accepted: experimental = true beside the peers"
            )
