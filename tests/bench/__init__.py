"""The figures of the design, measured: `make bench`, docs/bench.md."""
