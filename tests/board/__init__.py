"""What can be shown on a board only: docs/hil.md says what to wire."""
