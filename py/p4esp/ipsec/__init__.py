"""The IPsec vocabulary that IKE, the controller and the operator share (RFC 4301, RFC 4303).

Algorithms, traffic selectors, identities, security associations and policy rules: plain frozen
data with no behaviour that needs a clock, a socket or a switch.
"""
