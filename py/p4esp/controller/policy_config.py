"""Rules of the SPD, as a file describes them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from p4esp.configuration.fields import Label, Name, Network
from p4esp.configuration.peers import selectors
from p4esp.configuration.sections import Section
from p4esp.ipsec.policy import Action, PolicyRule


class PolicySection(Section):
    """A rule of the SPD. `child` is written `peer/child` and goes with protect."""

    name: Name
    """Its name; the store keeps a number for it."""
    action: Literal["protect", "bypass", "discard"]
    """`protect` with ESP, `bypass` in clear, or `discard`."""
    local: tuple[Network, ...] = Field(min_length=1)
    """Prefixes on our side; at least one."""
    remote: tuple[Network, ...] = Field(min_length=1)
    """Prefixes on the other side; at least one, of the same families."""
    protocol: int = Field(default=0, ge=0, le=255)
    """IP protocol number; 0: any."""
    local_port: int | None = Field(default=None, ge=0, le=65535)
    """TCP, UDP or SCTP port on our side; unset: any."""
    remote_port: int | None = Field(default=None, ge=0, le=65535)
    """That on the other side; unset: any."""
    priority: int = Field(default=0, ge=0)
    """The highest wins."""
    child: str | None = None
    """`peer/child` that carries the traffic; with `protect` only. One rule for each child."""
    label: Label | None = None
    """Security label of the traffic, with `protect` that of the child; unset: traffic without."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        require_one_family(self.local, self.remote)
        self.rule()
        return self

    def rule(self) -> PolicyRule:
        """The rule in IPsec's vocabulary; PolicyError when it contradicts itself."""
        local = selectors(self.local, self.protocol, self.local_port)
        remote = selectors(self.remote, self.protocol, self.remote_port)
        return PolicyRule(
            *(self.name, Action(self.action), local, remote, self.priority, self.child),
            label=(self.label or "").encode(),
        )


def require_one_family(local: tuple[Network, ...], remote: tuple[Network, ...]) -> None:
    """What has no counterpart on the other side would match nothing."""
    ours, theirs = ({net.version for net in nets} for nets in (local, remote))
    if ours != theirs:
        raise ValueError(
            f"local {', '.join(map(str, local))} and remote {', '.join(map(str, remote))} are of "
            "different families; accepted: the same on both sides"
        )
