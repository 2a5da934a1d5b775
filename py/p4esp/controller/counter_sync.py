"""Outbound counters that skip forward when one end was taken over (RFC 6311 5.2)."""

from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.state_channel import StateChannel
from p4esp.ipsec.layouts import form_out, is_diet


async def skip_counters(live: LiveSa, state: StateChannel, delta: int) -> bool:
    """Raise the counters of all outbound spaces of an SA. False when one has not that much left
    before it sends nothing more, or sends low octets of numbers, of which the peer would make
    others: then it sends nothing more from now on, because what is left of its numbers may have
    been used. ControllerError when the pipeline does not.
    """
    place, end = live.record.placement, live.entries.outbound.arg("seq_hard")
    able = not is_diet(form_out(live.record.child.layout))
    for space in range(place.space_out, place.space_out + place.spaces_out):
        sent = await state.read_sequence(space)
        able = able and sent + delta < end
        if sent < end:
            await state.advance_sequence(space, sent + delta if able else end)
    return able
