"""Outbound counters that skip forward when one end was taken over (RFC 6311 5.2)."""

from typing import Final

from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.state_channel import StateChannel

LAST: Final = 0xFFFFFFFF
LAST_EXTENDED: Final = (1 << 37) - 1
"""The last numbers of an SA that the pipeline sends."""


async def skip_counters(live: LiveSa, state: StateChannel, delta: int) -> bool:
    """Raise the counters of all outbound spaces of an SA; False when one has not that much left.
    ControllerError when the pipeline does not.
    """
    place, child = live.record.placement, live.record.child
    last = LAST_EXTENDED if child.esn else LAST
    spaces = range(place.space_out, place.space_out + place.spaces_out)
    wanted = {space: await state.read_sequence(space) + delta for space in spaces}
    if max(wanted.values()) > last:
        return False
    for space, number in wanted.items():
        await state.advance_sequence(space, number)
    return True
