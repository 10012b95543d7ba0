"""What holds for every test: no verdict depends on how fast this computer is today.

Where CI is set, the examples are the same each time: a change is judged by itself. Everybody else looks for new ones.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("temoin", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("temoin")
