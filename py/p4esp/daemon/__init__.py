"""IKEv2 on ordinary UDP sockets, without a data plane: the same IKE as in the gateways."""
