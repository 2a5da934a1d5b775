"""P4Runtime v1 server for the embedded switch.

The server speaks `finsy.proto`, the only P4Runtime stubs that may live in a process with finsy.
Section numbers in docstrings refer to the P4Runtime specification, version 1.5.
"""
