"""Outbound counters that skip forward when one end was taken over (RFC 6311 5.2)."""

from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.state_channel import StateChannel
from p4esp.ipsec.layouts import form_out, is_diet


async def skip_counters(live: LiveSa, state: StateChannel, delta: int) -> bool:
    """Raise the counters of all outbound spaces of an SA; False when one has not that much left
    before it sends nothing more, or sends low octets of numbers, of which the peer would make
    others. ControllerError when the pipeline does not.
    """
    place, child = live.record.placement, live.record.child
    if is_diet(form_out(child.layout)):
        return False
    spaces = range(place.space_out, place.space_out + place.spaces_out)
    wanted = {space: await state.read_sequence(space) + delta for space in spaces}
    if max(wanted.values()) >= live.entries.outbound.arg("seq_hard"):
        return False
    for space, number in wanted.items():
        await state.advance_sequence(space, number)
    return True
