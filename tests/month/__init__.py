"""A month off-line, handed over at once: real agent, real broker, real dock. `make month`."""
