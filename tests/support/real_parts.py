"""Whether the tests run where the kernel has a GPIO chip and a battery for them: in `make vm`'s machine.

The same suites run on both: on gpiozero's mock pins and made-up folders wherever they are started, on the kernel's
drivers where TEMOIN_VM is 1 (tests/vm).
"""

from __future__ import annotations

import os

REAL_PARTS = os.environ.get("TEMOIN_VM") == "1"
