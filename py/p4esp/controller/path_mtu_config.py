"""The configuration's section about path MTUs."""

from pydantic import Field

from p4esp.configuration.sections import Section
from p4esp.controller.path_mtu_settings import AGE, PathMtuSettings


class PathMtuSection(Section):
    """What counts of the ICMP "too big" messages from outside (RFC 4301 6.1.1, 8.2)."""

    accept_icmp: bool = True
    """Let ICMP from outside make packets smaller, as far as it is plausible; nobody signs it."""
    age: float = Field(default=AGE, ge=300)
    """Seconds after which the link's MTU is tried again."""

    def settings(self) -> PathMtuSettings:
        """The form the controller takes."""
        return PathMtuSettings(self.accept_icmp, self.age)
