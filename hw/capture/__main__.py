"""`python -m hw.capture`: the capture process."""

from __future__ import annotations

import sys

from hw.capture.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
