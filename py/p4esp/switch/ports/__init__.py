"""Ways into and out of a switch's ports: memory, gRPC packet I/O, Linux interfaces.

Each kind registers a sink per port with `Device.attach` or `attach_burst` and hands what it
receives to `Device.inject` or, where several frames wait, to `inject_burst`; none knows the
packet core. gRPC gives one message at a time, so there each packet is a burst of its own.
"""
