"""IKEv2 (RFC 7296) on a sans-IO frame.

`endpoint.IkeEndpoint` is the way in: UDP payloads and time go in, UDP payloads, events
(`events`) and the next deadline come out. What it needs from outside is in `state.Environment`;
what the operator decides is in `config`. `sa.IkeSa` is one IKE SA behind the same verbs.
"""
