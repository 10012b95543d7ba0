"""What holds for every test: no verdict depends on how fast this computer is today."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("temoin", deadline=None, print_blob=True)
settings.load_profile("temoin")
