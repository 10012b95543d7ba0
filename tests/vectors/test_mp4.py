"""Every MP4 vector gives the outcome that its index states, and the script still writes the same."""

from __future__ import annotations

import json
from typing import cast

import pytest

from agent.errors import FormatError
from agent.formats import mp4
from tests.support.vectors import differences
from tests.vectors.make_mp4 import FOLDER, generate

INDEX = cast(dict[str, dict[str, str]], json.loads((FOLDER / "index.json").read_text()))


def describe_init(init: mp4.Init) -> str:
    return ", ".join(f"{track.handler} {track.track_id} at {track.timescale}" for track in init.tracks)


def describe_run(run: mp4.TrackRun) -> str:
    samples = " ".join(
        f"{sample.offset}+{sample.size}" + (f"@{sample.composition}" if sample.composition else "")
        for sample in run.samples
    )
    return f"{run.track_id} from {run.decode_time} to {run.end_time}: {samples}"


def outcome(read: str, data: memoryview) -> str:
    try:
        if read == "init":
            return describe_init(mp4.parse_init(data))
        if read == "fragment":
            init = mp4.parse_init(memoryview((FOLDER / "init.bin").read_bytes()))
            return "; ".join(describe_run(run) for run in mp4.parse_fragment(data, init))
        kinds = ("ftyp", "moov") if read == "padded-init" else ("moof", "mdat")
        return str(mp4.unpadded_length(data, kinds))
    except FormatError as error:
        return str(error)


@pytest.mark.parametrize("name", INDEX)
def test_vector(name: str) -> None:
    vector = INDEX[name]
    found = outcome(vector["read"], memoryview((FOLDER / f"{name}.bin").read_bytes()))
    assert found.startswith(vector["outcome"])


def test_the_script_writes_what_is_there() -> None:
    assert differences(FOLDER, generate()) == []
