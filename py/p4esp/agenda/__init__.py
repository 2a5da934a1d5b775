"""The agenda of IETF 118's ipsecme session, item by item, on two gateways of this toolkit."""
