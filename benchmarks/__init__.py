"""One module per claim: `python -m benchmarks.NAME [--json]` prints what it measured, and never asserts."""
