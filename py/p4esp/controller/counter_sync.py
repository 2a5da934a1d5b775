"""Outbound counters that skip forward when one end was taken over (RFC 6311 5.2)."""

from typing import Final

from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.state_channel import StateChannel
from p4esp.ipsec.layouts import form_out, is_diet

LAST: Final = 0xFFFFFFFF
LAST_EXTENDED: Final = (1 << 37) - 1
"""The last numbers of an SA that the pipeline sends."""


async def skip_counters(live: LiveSa, state: StateChannel, delta: int) -> bool:
    """Raise the counters of all outbound spaces of an SA. False when it is to be replaced: one has
    not that much left and sends nothing more, because what is left of its numbers may have been
    used; or it sends low octets of numbers, of which the peer would make others.
    ControllerError when the pipeline does not.
    """
    place, child = live.record.placement, live.record.child
    last = LAST_EXTENDED if child.esn else LAST
    enough, hard = not is_diet(form_out(child.layout)), live.entries.outbound.arg("seq_hard")
    for space in range(place.space_out, place.space_out + place.spaces_out):
        sent = await state.read_sequence(space)
        if sent < last:
            await state.advance_sequence(space, min(sent + delta, last))
        enough = enough and sent + delta < hard
    return enough
