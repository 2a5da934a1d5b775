"""What the gateways' controller and the IKE daemon have in common: both run an IKE endpoint.

The endpoint's driver, the journal, the children that are to be up, commands over a socket, traces.
"""
