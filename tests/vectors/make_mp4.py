"""Writes tests/vectors/mp4/: inits, fragments, padded parts and an index, each with what a reader says to it.

It shares no code with agent/formats: the boxes are built a second time from ISO/IEC 14496-12 (tests/support/mp4.py).
`index.json` names for each file how it is read (`init`, `fragment`, `padded-init`, `padded-fragment`) and the outcome:
what comes out, or how the error's line begins. Fragments are read with `init.bin`.

    python -m tests.vectors.make_mp4 [--check]
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

from tests.support import mp4
from tests.support.mp4 import SOUND, VIDEO, Pieces, box, full_box
from tests.support.vectors import run

FOLDER = Path(__file__).parent / "mp4"
Vector = tuple[bytes, str]
VIDEO_TRAK = mp4.trak(VIDEO, "vide", 90_000, box("avc1", bytes(78)))
SOUND_TRAK = mp4.trak(SOUND, "soun", 48_000, box("mp4a", bytes(28)))
BOTH_TREX = box("mvex", mp4.trex(VIDEO), mp4.trex(SOUND))
TFHD, TFDT = mp4.tfhd(VIDEO, 3600), full_box("tfdt", 1, 0, struct.pack("!Q", 0))
PICTURES = Pieces(VIDEO, 90_000, [40, 41, 42])
BLOCKS = Pieces(SOUND, 47 * 1024, [6, 7])


def changed(data: bytes, old: bytes, new: bytes, place: int = 0) -> bytes:
    """`data` with the place-th occurrence of `old` overwritten; lengths stay."""
    assert len(old) == len(new), "a change that keeps the length"
    at = -1
    for _ in range(place + 1):
        at = data.index(old, at + 1)
    return data[:at] + new + data[at + len(old) :]


def inits() -> dict[str, Vector]:
    whole = mp4.make_init()
    start = mp4.ftyp()
    return {
        "init": (whole, "vide 1 at 90000, soun 2 at 48000"),
        "init-without-sound": (mp4.make_init(sound=False), "vide 1 at 90000"),
        "init-empty": (b"", "init: boxes none where ftyp moov belong"),
        "init-no-ftyp": (whole[len(start) :], "init: boxes moov where ftyp moov belong"),
        "init-with-free": (whole + box("free"), "init: boxes ftyp moov free where ftyp moov belong"),
        "init-cut": (whole[:-1], f"'moov' at offset 28: size {len(whole) - 28} with {len(whole) - 29} bytes left"),
        "init-cut-in-header": (whole[:31], "offset 28: 3 bytes where a box header belongs"),
        "init-size-0": (changed(whole, whole[28:36], bytes(4) + b"moov"), "'moov' at offset 28: size 0 with"),
        "init-size-7": (
            changed(whole, whole[28:36], bytes([0, 0, 0, 7]) + b"moov"),
            "'moov' at offset 28: size 7 with",
        ),
        "init-child-too-long": (
            start + mp4.moov(VIDEO_TRAK, changed(BOTH_TREX, b"\0\0\0\x20trex", b"\0\0\0\x28trex", 1)),
            "'trex' at offset ",
        ),
        "init-unknown-box": (changed(whole, b"trak", b"trax", 1), "moov: boxes trax that do not belong there"),
        "init-no-mvex": (start + mp4.moov(VIDEO_TRAK, SOUND_TRAK), "moov: no mvex box inside"),
        "init-two-mvex": (start + mp4.moov(VIDEO_TRAK, BOTH_TREX, BOTH_TREX), "mvex at offset "),
        "init-no-trex": (start + mp4.moov(VIDEO_TRAK, box("mvex", mp4.trex(SOUND))), "trak at offset 144: no trex for"),
        "init-no-video": (start + mp4.moov(SOUND_TRAK, BOTH_TREX), "moov: tracks soun where one vide"),
        "init-two-videos": (start + mp4.moov(VIDEO_TRAK, VIDEO_TRAK, BOTH_TREX), "moov: tracks vide vide where"),
        "init-no-tracks": (start + mp4.moov(BOTH_TREX), "moov: tracks  where one vide"),
        "init-same-id": (
            start + mp4.moov(VIDEO_TRAK, mp4.trak(VIDEO, "soun", 48_000, box("mp4a", bytes(28))), BOTH_TREX),
            "moov: two tracks with the same id",
        ),
        "init-track-0": (
            start + mp4.moov(mp4.trak(0, "vide", 90_000, box("avc1")), box("mvex", mp4.trex(0))),
            "tkhd at offset 152: track id 0",
        ),
        "init-text-track": (changed(whole, b"soun", b"text"), "hdlr at offset "),
        "init-timescale-0": (
            start + mp4.moov(mp4.trak(VIDEO, "vide", 0, box("avc1", bytes(78))), BOTH_TREX),
            "mdhd at offset 252: timescale 0",
        ),
        "init-two-descriptions": (
            start + mp4.moov(mp4.trak(VIDEO, "vide", 90_000, box("avc1") + box("avc1")), BOTH_TREX),
            "stsd at offset ",
        ),
        "init-description-count-lies": (
            changed(whole, b"stsd" + bytes(4) + struct.pack("!I", 1), b"stsd" + bytes(4) + struct.pack("!I", 2)),
            "stsd at offset 396: 2 sample descriptions instead of 1",
        ),
        "init-edit-list": (
            start + mp4.moov(box("trak", box("edts"), VIDEO_TRAK[8:]), BOTH_TREX),
            "trak at offset 144: an edit list in an init",
        ),
        "init-trex-version-1": (
            start + mp4.moov(VIDEO_TRAK, box("mvex", full_box("trex", 1, 0, bytes(20)))),
            "trex at offset ",
        ),
        "init-trex-description-2": (
            start + mp4.moov(VIDEO_TRAK, box("mvex", mp4.trex(VIDEO, description=2))),
            "trex at offset ",
        ),
    }


def of(*boxes: bytes, data: int = 3) -> bytes:
    """A fragment with one hand-made `traf`."""
    inside = box("moof", full_box("mfhd", 0, 0, bytes(4)), box("traf", *boxes))
    return inside + box("mdat", mp4.sample_bytes(data))


def one_run(flags: int, fields: bytes, version: int = 0) -> bytes:
    """A fragment whose only `trun` has these flags and fields; its `mdat` has 3 bytes."""
    return of(TFHD, TFDT, full_box("trun", version, flags, fields))


def offset_of(fields_length: int) -> int:
    """Where the `mdat`'s first byte is in a fragment of one_run."""
    return 8 + 16 + 8 + len(TFHD) + len(TFDT) + 12 + fields_length + 8


def fragments() -> dict[str, Vector]:
    head, body = mp4.moof([PICTURES, BLOCKS], 2), mp4.sample_bytes(136)
    whole = head + box("mdat", body)
    at = len(head) + 8
    no_video = mp4.moof([BLOCKS], 1) + box("mdat", mp4.sample_bytes(13))
    twice = mp4.moof([PICTURES, PICTURES], 1) + box("mdat", mp4.sample_bytes(246))
    unsynced = Pieces(VIDEO, 0, [3], first_flags=0x01010000)
    return {
        "fragment": (whole, f"1 from 90000 to 100800: {at}+40 {at + 40}+41 {at + 81}+42; 2 from 48128 to 50176: "),
        "fragment-without-sound": (
            mp4.moof([PICTURES], 2) + box("mdat", mp4.sample_bytes(123)),
            "1 from 90000 to 100800: 120+40 160+41 201+42",
        ),
        "fragment-composition": (
            mp4.moof([Pieces(VIDEO, 0, [5, 6], composition=[7200, -3600])], 1) + box("mdat", mp4.sample_bytes(11)),
            "1 from 0 to 7200: 124+5@7200 129+6@-3600",
        ),
        "fragment-large-mdat": (
            mp4.moof([PICTURES], 2, shift=8) + struct.pack("!I4sQ", 1, b"mdat", 139) + mp4.sample_bytes(123),
            "1 from 90000 to 100800: 128+40 168+41 209+42",
        ),
        "fragment-two-runs": (
            of(
                TFHD,
                TFDT,
                full_box("trun", 0, 0x205, struct.pack("!IiII", 1, offset_of(16) + 24, 0x02000000, 2)),
                full_box("trun", 0, 0x201, struct.pack("!IiI", 1, offset_of(16) + 26, 1)),
            ),
            "1 from 0 to 7200: 136+2 138+1",
        ),
        "fragment-empty": (b"", "fragment: boxes none where moof mdat belong"),
        "fragment-only-moof": (head, "fragment: boxes moof where moof mdat belong"),
        "fragment-two-mdat": (whole + box("mdat"), "fragment: boxes moof mdat mdat where moof mdat belong"),
        "fragment-padded": (whole + box("free"), "fragment: boxes moof mdat free where moof mdat belong"),
        "fragment-cut": (whole[:-1], f"'mdat' at offset {len(head)}: size 144 with 143 bytes left"),
        "fragment-large-size-cut": (whole[: len(head)] + struct.pack("!I4s", 1, b"mdat"), "'mdat' at offset "),
        "fragment-large-size-lies": (
            head + struct.pack("!I4sQ", 1, b"mdat", 1 << 63) + body,
            f"'mdat' at offset {len(head)}: size {1 << 63} with 152 bytes left",
        ),
        "fragment-large-size-small": (head + struct.pack("!I4sQ", 1, b"mdat", 15) + body, "'mdat' at offset "),
        "fragment-mdat-longer": (head + box("mdat", body, b"\0"), "trun: samples end at offset "),
        "fragment-mdat-shorter": (head + box("mdat", body[:-1]), "trun: samples end at offset "),
        "fragment-before-mdat": (
            mp4.moof([PICTURES, BLOCKS], 2, shift=-1) + box("mdat", body),
            f"trun: a sample at offset {at - 1} where the next byte of the mdat is {at}",
        ),
        "fragment-after-mdat": (
            mp4.moof([PICTURES, BLOCKS], 2, shift=1) + box("mdat", body),
            f"trun: a sample at offset {at + 1} where the next byte of the mdat is {at}",
        ),
        "fragment-overlap": (
            changed(whole, struct.pack("!Ii", 2, at + 123), struct.pack("!Ii", 2, at + 122)),
            f"trun: a sample at offset {at + 122} where the next byte of the mdat is {at + 123}",
        ),
        "fragment-negative-offset": (
            one_run(0x205, struct.pack("!IiII", 1, -1, 0x02000000, 3)),
            "trun: a sample at offset -1 where the next byte of the mdat is",
        ),
        "fragment-not-a-keyframe": (
            mp4.moof([unsynced], 1) + box("mdat", mp4.sample_bytes(3)),
            "moof: the first picture is not a keyframe",
        ),
        "fragment-no-video": (no_video, "moof: no traf of the video track"),
        "fragment-track-twice": (twice, "moof: two traf boxes of the same track"),
        "fragment-unknown-track": (
            mp4.moof([Pieces(3, 0, [3])], 1) + box("mdat", mp4.sample_bytes(3)),
            "tfhd at offset 32: track 3 is not in the init",
        ),
        "fragment-no-mfhd": (box("moof", head[24:]) + box("mdat", body), "moof: boxes traf traf where mfhd and traf"),
        "fragment-no-traf": (box("moof", full_box("mfhd", 0, 0, bytes(4))) + box("mdat"), "moof: no traf of the video"),
        "fragment-no-tfdt": (
            of(TFHD, full_box("trun", 0, 0x201, bytes(12))),
            "traf at offset 24: boxes tfhd trun where",
        ),
        "fragment-wrong-order": (
            of(TFDT, TFHD, full_box("trun", 0, 0x201, bytes(12))),
            "traf at offset 24: boxes tfdt tfhd trun where tfhd tfdt trun belong",
        ),
        "fragment-no-trun": (of(TFHD, TFDT), "traf at offset 24: boxes tfhd tfdt where"),
        "fragment-unknown-box": (
            of(TFHD, TFDT, full_box("trun", 0, 0x201, struct.pack("!IiI", 1, 0, 3)), box("senc")),
            "traf at offset 24: boxes tfhd tfdt trun senc where",
        ),
        "fragment-no-samples": (one_run(0x001, struct.pack("!Ii", 0, 0)), "traf at offset 24: 0 samples"),
        "fragment-too-many-samples": (
            one_run(0x201, struct.pack("!Ii", 10_001, 0)),
            "trun at offset 76: 10001 samples",
        ),
        "fragment-count-lies": (
            one_run(0x201, struct.pack("!IiI", 2, 0, 3)),
            "trun at offset 76: ends 4 bytes too early",
        ),
        "fragment-count-short": (
            one_run(0x201, struct.pack("!IiII", 1, 0, 3, 3)),
            "trun at offset 76: 4 bytes too many",
        ),
        "fragment-no-data-offset": (one_run(0x200, struct.pack("!II", 1, 3)), "trun at offset 76: flags 0x000200"),
        "fragment-unknown-flag": (one_run(0x203, struct.pack("!IiI", 1, 0, 3)), "trun at offset 76: flags 0x000203"),
        "fragment-flags-twice": (
            one_run(0x605, struct.pack("!IiIII", 1, 0, 0, 3, 0)),
            "trun at offset 76: flags of the first sample given twice",
        ),
        "fragment-trun-version-2": (
            one_run(0x201, struct.pack("!IiI", 1, 0, 3), version=2),
            "trun at offset 76: version 2",
        ),
        "fragment-sample-of-0-bytes": (
            one_run(0x201, struct.pack("!IiI", 1, 0, 0)),
            "trun at offset 76: sample 0 has 0",
        ),
        "fragment-sample-of-0-ticks": (
            one_run(0x301, struct.pack("!IiII", 1, 0, 0, 3)),
            "trun at offset 76: sample 0 has 3 bytes and 0 ticks",
        ),
        "fragment-base-offset": (
            of(full_box("tfhd", 0, 0x000001, struct.pack("!IQ", 1, 0)), TFDT, full_box("trun", 0, 0x201, bytes(12))),
            "tfhd at offset 32: flags 0x000001: not addressed from the moof alone",
        ),
        "fragment-tfhd-cut": (
            of(full_box("tfhd", 0, 0x020028, struct.pack("!II", 1, 3600)), TFDT, full_box("trun", 0, 0x201, bytes(12))),
            "tfhd at offset 32: ends 4 bytes too early",
        ),
        "fragment-description-2": (
            of(full_box("tfhd", 0, 0x020002, struct.pack("!II", 1, 2)), TFDT, full_box("trun", 0, 0x201, bytes(12))),
            "tfhd at offset 32: sample description 2 instead of 1",
        ),
        "fragment-time-beyond": (
            of(TFHD, full_box("tfdt", 1, 0, struct.pack("!Q", (1 << 48) + 1)), full_box("trun", 0, 0x201, bytes(12))),
            "tfdt at offset 56: decode time 281474976710657 is beyond",
        ),
    }


def padded_parts() -> dict[str, tuple[str, Vector]]:
    init, fragment = mp4.make_init(), mp4.make_fragment()
    whole = mp4.padded(fragment)
    end = len(fragment)
    tight = mp4.make_fragment_of(65_536 - 7)
    return {
        "padded-init": ("padded-init", (mp4.padded(init), str(len(init)))),
        "padded-fragment": ("padded-fragment", (whole, str(end))),
        "padded-exact": ("padded-fragment", (mp4.make_fragment_of(65_536), "65536")),
        "padded-8-short": ("padded-fragment", (mp4.padded(mp4.make_fragment_of(65_528)), "65528")),
        "padded-7-short": ("padded-fragment", (mp4.padded(tight), "65529")),
        "padding-missing": ("padded-fragment", (fragment, f"free: padding of 0 bytes where {65_536 - end} belong")),
        "padding-cut": (
            "padded-fragment",
            (whole[:-1], f"free: padding of {65_535 - end} bytes where {65_536 - end} belong"),
        ),
        "padding-not-zero": ("padded-fragment", (whole[:-1] + b"\1", f"offset {end}: the padding is not all zeros")),
        "padding-not-free": (
            "padded-fragment",
            (changed(whole, b"free", b"skip"), f"offset {end}: the padding is not one free box"),
        ),
        "padding-in-two": (
            "padded-fragment",
            (
                fragment + box("free") + box("free", bytes(65_536 - end - 16)),
                f"offset {end}: the padding is not one free",
            ),
        ),
        "padding-too-long": (
            "padded-fragment",
            (fragment + box("free", bytes(2 * 65_536 - end - 8)), f"free: padding of {131_072 - end} bytes where"),
        ),
        "padding-of-nothing": ("padded-fragment", (b"", "free: no moof mdat")),
        "padding-after-one-box": ("padded-fragment", (mp4.padded(mp4.moof([PICTURES], 1)), "offset ")),
        "padding-of-an-init": ("padded-fragment", (mp4.padded(init), "offset 0: a ftyp box where moof belongs")),
    }


def generate() -> dict[str, bytes]:
    """Every vector as a file, and `index.json`: name to how it is read and what comes out."""
    found = {name: ("init", vector) for name, vector in inits().items()}
    found |= {name: ("fragment", vector) for name, vector in fragments().items()}
    found |= padded_parts()
    files = {f"{name}.bin": data for name, (_, (data, _)) in found.items()}
    index = {name: {"read": read, "outcome": outcome} for name, (read, (_, outcome)) in found.items()}
    files["index.json"] = (json.dumps(index, indent=1) + "\n").encode()
    return files


if __name__ == "__main__":
    sys.exit(run(FOLDER, generate))
