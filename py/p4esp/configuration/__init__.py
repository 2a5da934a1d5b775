"""Configuration files: TOML, checked at once, with errors that name the key and what it accepts.

What gateways and the IKE daemon share is here; what only one of them has is in its own package.
"""
