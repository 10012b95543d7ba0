"""Recordings that can be exported, bundles made of them, and check.sh run over a bundle at a chosen present time.

The fragments are built box by box (tests/support/mp4.py): no encoder, the same bytes everywhere, and small.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.adapters.signer import load_private_key
from agent.evidence.export import Bundle, ExportSigner, export
from agent.formats.canonical import Value
from agent.keys import load_chain
from tests.support import mp4
from tests.support.agency import TestAgency, seeded_random
from tests.support.evidence import Builder, OpenSegment, Piece

CHECK = Path(__file__).parents[2] / "agent" / "evidence" / "bundle" / "check.sh"
LIMIT_S = 60
DAY_MS = 86_400_000
INIT = mp4.padded(mp4.make_init())
OTHER_INIT = mp4.padded(mp4.make_init(sound=False))


def piece(second: int, frame_bytes: int = 40, sound: bool = True) -> Piece:
    """The GOP of that second of a capture process."""
    data = mp4.make_fragment(second, frame_bytes=frame_bytes, sound_blocks=None if sound else 0)
    return Piece(mp4.padded(data), sound=sound)


def film(made: Builder, second: int, counts: Sequence[int] = (3, 2), init: bytes = INIT) -> int:
    """Segments of so many fragments each, sealed, in the recording that is open; returns the next second."""
    for count in counts:
        segment = made.open_segment(init)
        for n in range(count):
            # Of a slow signer every second fragment is signed, and the last of a segment.
            signed = not made.slow_signer or n % 2 == 1 or n == count - 1
            made.fragment(segment, piece(second, sound=init is INIT), signed)
            second += 1
        made.seal(segment)
    return second


def record(made: Builder, second: int = 0, counts: Sequence[int] = (3, 2)) -> str:
    """A whole recording; its footage begins at that second of the capture process."""
    made.mono_ns += 10_000_000_000
    made.utc_ms += 10_000
    rec = made.start()
    film(made, second, counts)
    made.stop()
    return rec


def cut_power(made: Builder, count: int = 3) -> tuple[str, OpenSegment]:
    """A recording whose power fails after `count` fragments of its second segment; recovery is the caller's."""
    made.mono_ns += 10_000_000_000
    made.utc_ms += 10_000
    rec = made.start()
    second = film(made, 0, (2,))
    segment = made.open_segment(INIT)
    for n in range(count):
        made.fragment(segment, piece(second + n))
    made.leave_open(segment)
    return rec, segment


def say_again(made: Builder, changes: Mapping[str, Value]) -> None:
    """The last entry once more in its place, with these fields of its body changed, and signed: a camera that lies."""
    last = made.files[-1].pop()
    assert last.body is not None
    made._seq, made._prev = last.head.seq, last.head.prev
    body = {key: value for key, value in last.body.items() if key != "salt"}
    made.append(last.head.kind, {**body, **changes})


def reader(agency: TestAgency) -> ExportSigner:
    """The agency's export key."""
    folder = agency.folder / "reader"
    return ExportSigner(
        load_private_key(folder / "export.key", None), load_chain((folder / "export.pem").read_bytes(), "export.pem")
    )


def make_bundle(
    made: Builder,
    agency: TestAgency,
    rec: str,
    out: Path,
    *,
    signer: ExportSigner | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    tsa_pem: bytes | None = None,
) -> Bundle:
    """Export a recording of what was written, one day after the agency was made."""
    return export(
        rec,
        made.folder,
        [agency.identity],
        signer or reader(agency),
        agency.root_pem,
        out,
        now_ms=agency.now_ms + DAY_MS,
        random=seeded_random("export"),
        start_ms=start_ms,
        end_ms=end_ms,
        tsa_pem=tsa_pem,
    )


@dataclass(frozen=True, slots=True)
class Checked:
    """How check.sh ended."""

    code: int
    out: str
    err: str


def run_check(
    folder: Path,
    *arguments: str,
    now_ms: int,
    shell: str = "dash",
    script: Path | None = None,
    path: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Checked:
    """check.sh of the bundle (or `script`, over it) with a `date` that says `now_ms`; `path` replaces PATH."""
    tools = folder.parent / f"{folder.name}.tools"
    tools.mkdir(exist_ok=True)
    date = tools / "date"
    date.write_text(f'#!/bin/sh\n[ "$*" != +%s ] || {{ echo {now_ms // 1000}; exit; }}\nexec /bin/date "$@"\n')
    date.chmod(0o755)
    scratch = folder.parent / f"{folder.name}.tmp"
    scratch.mkdir(exist_ok=True)
    command = [shell, str(script or folder / "check.sh"), *arguments]
    variables = {"PATH": f"{tools}:{path or os.environ['PATH']}", "TMPDIR": str(scratch), **(environment or {})}
    done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False, env=variables)
    assert not list(scratch.iterdir()), "check.sh cleans up behind it"
    return Checked(done.returncode, done.stdout.decode(), done.stderr.decode())
