"""A small bundle, and the ways to forge it: what the tests of check.sh share."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.evidence import export
from agent.evidence.export import ExportSigner
from agent.formats import bundle
from tests.support.agency import TestAgency, make_agency
from tests.support.evidence import builder
from tests.support.exports import DAY_MS, Checked, make_bundle, reader, record, run_check

Forge = Callable[[Path], None]
FRAGMENT_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle as it was made; tests change copies.

    Its journal: 0 genesis, 1 boot, 2 policy, 3 start, 4 open, 5 6 7 fragments, 8 seal, 9 open, 10 11 fragments, 12
    seal, 13 stop.
    """

    agency: TestAgency
    folder: Path


def copy_of(made: Made, tmp_path: Path) -> Path:
    return shutil.copytree(made.folder, tmp_path / "copy")


def check(made: Made, folder: Path, *more: str, shell: str = "dash", script: Path | None = None) -> Checked:
    now_ms = made.agency.now_ms + 2 * DAY_MS
    return run_check(folder, "--ca-sha256", made.agency.fingerprint, *more, now_ms=now_ms, shell=shell, script=script)


def resigned(
    made: Made, folder: Path, changes: Mapping[str, object] | None = None, signer: ExportSigner | None = None
) -> None:
    """The statement with these fields changed, signed by an entitled reader who lies (or by another signer)."""
    value = json.loads((folder / bundle.STATEMENT_FILE).read_bytes()) | (changes or {})
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    (folder / bundle.STATEMENT_FILE).write_bytes(text)
    (folder / bundle.SIGNATURE_FILE).write_bytes(export.sign_statement(text, signer or reader(made.agency)))


def change_bytes(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def make(base: Path) -> Made:
    """A recording of two segments, exported."""
    agency = make_agency(base, simulated=False)
    camera = builder(base / "data", agency)
    camera.genesis()
    rec = record(camera, 0, (3, 2))
    camera.write()
    make_bundle(camera, agency, rec, base / "bundle")
    return Made(agency, base / "bundle")


def lines_of(folder: Path) -> list[bytes]:
    return (folder / "journal.log").read_bytes().splitlines(keepends=True)


def rewrite(folder: Path, lines: list[bytes]) -> None:
    (folder / "journal.log").write_bytes(b"".join(lines))


def rechained(lines: list[bytes], number: int, old: bytes, new: bytes) -> list[bytes]:
    """An entry changed, and every body hash and `prev` made to fit again: only signatures can tell."""
    made = lines[:number]
    before = None if number == 0 else hashlib.sha256(lines[number - 1].split(b"\t")[0]).hexdigest()
    for n, line in enumerate(lines[number:], start=number):
        head, signature, body = line[:-1].split(b"\t")
        value = json.loads(head)
        if n == number:
            assert old in body
            body = body.replace(old, new)
            value["body"] = hashlib.sha256(body).hexdigest()
        value["prev"] = before
        head = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        before = hashlib.sha256(head).hexdigest()
        made.append(b"\t".join((head, signature, body)) + b"\n")
    return made


def last_failure(found: Checked) -> str:
    assert found.code == 1
    return found.out.splitlines()[-1]
