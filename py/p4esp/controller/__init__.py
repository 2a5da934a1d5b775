"""The controller: IKEv2 above, P4Runtime below, one process for many gateways."""
