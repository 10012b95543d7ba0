"""What an age file in a `place` entry holds (docs/formats.md, "Place"): where the camera was, in the clear.

Guarantees: canonical JSON and then spaces, 512 bytes in all, whatever it says: the length of what is sealed tells
nobody whether it is a position or a sector, and which.
"""

from __future__ import annotations

from agent.formats.canonical import Value, encode
from agent.model import Place

PLAIN_BYTES = 512  # the longest sector, 100 characters of 4 bytes, with all that stands around it
TYPE = "temoin/place/1"
OF_THE_HAND_OUT = "assign"


def place_text(where: Place | str) -> bytes:
    """A position, or the sector of the hand-out. Raises FormatError for a text that JSON here does not take."""
    value: dict[str, Value] = {"typ": TYPE}
    if isinstance(where, Place):
        value |= {
            "source": where.source.value,
            "latitude_e7": where.latitude_e7,
            "longitude_e7": where.longitude_e7,
            "error_m": where.error_m,
        }
    else:
        value |= {"source": OF_THE_HAND_OUT, "sector": where}
    return encode(value).ljust(PLAIN_BYTES)
