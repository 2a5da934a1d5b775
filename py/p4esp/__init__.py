"""IPsec ESP in P4: pipelines, controller, embedded switch and crypto engine."""

__version__ = "0.1.0"
