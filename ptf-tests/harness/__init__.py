"""What the packet tests share: the P4Runtime client, the dataplane, a test engine, the oracle."""
