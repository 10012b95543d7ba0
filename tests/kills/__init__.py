"""The real camera, killed and cut where it hurts: `make kills` (docs/kills.md says what is proven, and how)."""
