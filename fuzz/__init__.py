"""Fuzz targets: octets in, an exception when anything is wrong. `make fuzz` runs them.

A target is a function of octets. It needs no fuzzer: hypothesis calls it in the tests, and
`python -m fuzz NAME FILE` repeats a finding.
"""
