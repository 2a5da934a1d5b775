"""The wire format of IKEv2 (RFC 7296 3): strict, bounded, and exact in both directions.

Any octet string either parses or raises `p4esp.ike.errors.ParseError`.
"""
