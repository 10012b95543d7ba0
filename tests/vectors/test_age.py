"""Every age vector through the reader, and the script still making the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import TypedDict

import pytest

from agent.errors import FormatError
from agent.formats import age
from tests.support.vectors import differences
from tests.vectors import make_age

FOLDER = Path(__file__).parent / "age"


class FileVector(TypedDict, total=False):
    open: str
    error: str
    sha256: str
    chunks: int
    complete: bool


INDEX: dict[str, FileVector] = json.loads((FOLDER / "index.json").read_text())


def opened(name: str) -> list[tuple[bytes, bool]]:
    data, opened_with = (FOLDER / f"{name}.age").read_bytes(), INDEX[name]["open"]
    if opened_with.startswith("passphrase:"):
        return [(age.open_with_passphrase(data, opened_with.removeprefix("passphrase:")), True)]
    return list(age.open_whole_chunks(io.BytesIO(data), [age.parse_identity(opened_with)]))


def named(outcome: str) -> list[str]:
    return [name for name, vector in INDEX.items() if outcome in vector]


def test_the_script_still_makes_these_bytes() -> None:
    assert differences(FOLDER, make_age.generate()) == []


def test_every_file_is_in_the_index() -> None:
    assert {path.stem for path in FOLDER.glob("*.age")} == set(INDEX)


@pytest.mark.parametrize("name", named("sha256"))
def test_opens(name: str) -> None:
    chunks, expected = opened(name), INDEX[name]
    assert hashlib.sha256(b"".join(plain for plain, _ in chunks)).hexdigest() == expected["sha256"]
    assert len(chunks) == expected["chunks"]
    assert [last for _, last in chunks] == [False] * (len(chunks) - 1) + [expected["complete"]] * bool(chunks)


@pytest.mark.parametrize("name", named("error"))
def test_refuses(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        opened(name)
    assert str(caught.value) == INDEX[name]["error"]


def test_sealer_writes_the_vector_that_the_independent_writer_made() -> None:
    draws = iter([make_age.FILE_KEY, make_age.EPHEMERAL, make_age.NONCE])
    sealer = age.Sealer([age.parse_identity(make_age.CLASSIC[0]).recipient()], lambda _: next(draws))
    out = bytearray(2 * age.SEALED_CHUNK_BYTES)
    sealer.seal(make_age.full_plain(0) + make_age.full_plain(1), memoryview(out))
    written = sealer.header + sealer.nonce + out + sealer.finish(b"fin")
    assert written == (FOLDER / "valid-three-chunks.age").read_bytes()


def test_passphrase_writer_writes_the_vector_that_the_independent_writer_made() -> None:
    draws = iter([make_age.FILE_KEY, make_age.SALT, make_age.NONCE])
    written = age.seal_with_passphrase(b"age", make_age.PASSPHRASE, 10, lambda _: next(draws))
    assert written == (FOLDER / "valid-scrypt.age").read_bytes()
