"""Ways into and out of a switch's ports: memory, gRPC packet I/O, Linux interfaces.

Each kind registers a sink per port with `Device.attach` and hands what it receives to
`Device.inject`; none knows the packet core.
"""
