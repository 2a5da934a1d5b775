"""One module a benchmark, or a family that differs by a number; each offers `BENCHMARKS`."""
