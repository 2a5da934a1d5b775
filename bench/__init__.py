"""Benchmarks of p4esp, each next to a peer measured in the same run.

`bench.registry` knows them all; `p4esp bench` (or `make bench`) runs them. Nothing here asserts
anything on time: figures are printed, people judge.
"""
