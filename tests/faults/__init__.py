"""Camera, broker and dock as real processes, and everything that may go wrong between them: docs/faults.md."""
