"""Stands in for python3-kms++, which Raspberry Pi OS has and Debian has not.

picamera2 asks it for names of formats when its window on a screen is imported; none is opened.
"""

from __future__ import annotations


class _Names:
    def __getattr__(self, name: str) -> str:
        return name


PixelFormat = _Names()
