"""The demonstration: two gateways in one process, and the lab they stand in."""
