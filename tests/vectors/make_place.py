"""Writes tests/vectors/place/: what an age file in a `place` entry holds, once it is opened.

`index.json` says for each file which place it is.

    python -m tests.vectors.make_place [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.signed_json import canonical
from tests.support.vectors import run

FOLDER = Path(__file__).parent / "place"
BYTES = 512


def position(latitude_e7: int, longitude_e7: int, error_m: int) -> dict[str, object]:
    return {"source": "gnss", "latitude_e7": latitude_e7, "longitude_e7": longitude_e7, "error_m": error_m}


PLACES: dict[str, dict[str, object]] = {
    "city-hall": position(488_566_133, 23_522_217, 19),
    "south-west": position(-229_110_000, -431_728_000, 1),
    "south-pole": position(-900_000_000, -1_800_000_000, 10_000),
    "nowhere": position(0, 0, 1),
    "sector": {"source": "assign", "sector": "Secteur 4"},
    "sector-one-character": {"source": "assign", "sector": "N"},
    "sector-longest": {"source": "assign", "sector": "\U0001f694" * 100},
    "sector-escaped": {"source": "assign", "sector": '"' * 99 + "\\"},
}


def generate() -> dict[str, bytes]:
    """Each file by its name."""
    files = {}
    for name, said in PLACES.items():
        text = canonical({"typ": "temoin/place/1", **said})
        files[f"{name}.txt"] = text + b" " * (BYTES - len(text))
    index = {f"{name}.txt": said for name, said in PLACES.items()}
    files["index.json"] = json.dumps(index, indent=1, ensure_ascii=True).encode() + b"\n"
    return files


if __name__ == "__main__":
    sys.exit(run(FOLDER, generate))
