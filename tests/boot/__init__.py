"""`make boot`: camera and dock as they are installed, under systemd; docs/hardware.md, "Services"."""
