"""Compiling p4src, proving that the committed artefacts are its product, and what it costs."""
