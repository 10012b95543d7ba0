"""What picamera2 and libcamera 0.4 need besides, to film with the virtual camera. No line of Témoin's is changed.

Python imports this module by its name before anything else, in each process that has this folder in its PYTHONPATH.
"""

from __future__ import annotations

import os
from pathlib import Path

from virtual_camera import install

install(Path(os.environ["VIRTUAL_CAMERA_HOLD"]))
