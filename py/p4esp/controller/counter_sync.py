"""Outbound counters that skip forward when one end was taken over (RFC 6311 5.2)."""

from typing import Final

from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.state_channel import StateChannel

LAST: Final = 0xFFFFFFFF
LAST_EXTENDED: Final = (1 << 37) - 1
"""The last numbers of an SA that the pipeline sends."""


async def skip_counters(live: LiveSa, state: StateChannel, delta: int) -> bool:
    """Raise the counters of all outbound spaces of an SA. False when one has not that much left:
    it sends nothing more, because what is left of its numbers may have been used.
    ControllerError when the pipeline does not.
    """
    place, enough = live.record.placement, True
    last = LAST_EXTENDED if live.record.child.esn else LAST
    for space in range(place.space_out, place.space_out + place.spaces_out):
        sent = await state.read_sequence(space)
        if sent < last:
            await state.advance_sequence(space, min(sent + delta, last))
        enough = enough and sent + delta <= last
    return enough
