"""check.sh: time stamps, what it needs to run, and bundles that attack it instead of the evidence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.evidence import export
from agent.evidence.export import ExportSigner
from agent.formats import bundle
from tests.support.agency import TestAgency, make_agency
from tests.support.evidence import builder
from tests.support.exports import DAY_MS, Checked, make_bundle, reader, record, run_check
from tests.support.timestamps import Stamper, journal_token, make_stamper

STOCK_TOOLS = ("openssl", "sha256sum", "dd", "base64", "wc", "tr", "tail", "head", "cut")
MORE_TOOLS = ("mktemp", "mkdir", "dirname", "cat", "rm", "od")
ATTACKS = ("$(touch forged)", "`touch forged`", "';touch forged;'", '"; touch forged; "', "\\")
YEARS_MS = 30 * 365 * DAY_MS


@dataclass(frozen=True, slots=True)
class Stamped:
    """A bundle between two time stamps, and one authority that made neither."""

    agency: TestAgency
    stranger: Stamper
    folder: Path


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> Stamped:
    base = tmp_path_factory.mktemp("stamped")
    agency = make_agency(base, simulated=False, now_ms=int(time.time()) * 1000)
    stamper = make_stamper(base / "tsa")
    camera = builder(base / "data", agency)
    camera.genesis()
    camera.dock()
    record(camera, 0, (1,))

    def stamp() -> None:
        head = camera.files[-1][-1].digest.hex()
        journal_token(camera, head, stamper.stamp(head))

    stamp()
    rec = record(camera, 100, (2,))
    stamp()
    record(camera, 200, (1,))
    camera.write()
    make_bundle(camera, agency, rec, base / "bundle", tsa_pem=stamper.pem)
    return Stamped(agency, make_stamper(base / "stranger"), base / "bundle")


def check(stamped: Stamped, folder: Path, now_ms: int | None = None) -> Checked:
    now = stamped.agency.now_ms + DAY_MS if now_ms is None else now_ms
    return run_check(folder, "--ca-sha256", stamped.agency.fingerprint, now_ms=now)


def copy_of(stamped: Stamped, tmp_path: Path) -> Path:
    return shutil.copytree(stamped.folder, tmp_path / "copy")


def failure(found: Checked) -> str:
    assert found.code == 1
    return found.out.splitlines()[-1]


def claim(folder: Path) -> dict[str, object]:
    value: dict[str, object] = json.loads((folder / bundle.STATEMENT_FILE).read_bytes())
    return value


def sign_again(folder: Path, value: dict[str, object], signer: ExportSigner) -> None:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    (folder / bundle.STATEMENT_FILE).write_bytes(text)
    (folder / bundle.SIGNATURE_FILE).write_bytes(export.sign_statement(text, signer))


def test_between_two_tokens_certificates_may_have_expired_since(stamped: Stamped) -> None:
    names = sorted(each.name for each in stamped.folder.iterdir())
    assert [each for each in names if each.endswith((".tsr", ".pem"))] == [
        "after.tsr",
        "agency.pem",
        "before.tsr",
        "camera.pem",
        "tsa.pem",
    ]
    found = check(stamped, stamped.folder, stamped.agency.now_ms + YEARS_MS)
    assert found.code == 0, found.out
    assert "the journal up to the end of the recording existed on" in found.out
    assert "nothing after its beginning is older than" in found.out
    assert "tsa.pem: compare its SHA-256" in found.out
    kinds = [
        json.loads(line.split(b"\t")[0])["kind"] for line in (stamped.folder / "journal.log").read_bytes().splitlines()
    ]
    assert (kinds[0], kinds[-1]) == ("token", "token")


def test_forged_tokens_are_named(stamped: Stamped, tmp_path: Path) -> None:
    folder = copy_of(stamped, tmp_path)
    before, after = ((folder / name).read_bytes() for name in ("before.tsr", "after.tsr"))
    (folder / "after.tsr").write_bytes(before)
    assert "after.tsr: not the token that the journal holds" in failure(check(stamped, folder))
    (folder / "after.tsr").unlink()
    assert "after.tsr: missing" in failure(check(stamped, folder))
    (folder / "after.tsr").write_bytes(after)
    (folder / "tsa.pem").write_bytes(stamped.stranger.pem)
    assert "tsa.pem: not the one that the statement names" in failure(check(stamped, folder))
    value = claim(folder)
    tokens = value["tokens"]
    assert isinstance(tokens, dict)
    roots = hashlib.sha256(stamped.stranger.pem).hexdigest()
    sign_again(folder, {**value, "tokens": {**tokens, "roots": roots}}, reader(stamped.agency))
    assert "before.tsr: the token does not verify against tsa.pem" in failure(check(stamped, folder))
    (folder / "tsa.pem").write_bytes((stamped.folder / "tsa.pem").read_bytes())
    sign_again(folder, {**value, "tokens": {**tokens, "after": None}}, reader(stamped.agency))
    assert "after.tsr is not named, but the journal holds its token" in failure(check(stamped, folder))


def test_another_token_over_the_same_head_is_not_the_one_in_the_chain(stamped: Stamped, tmp_path: Path) -> None:
    """Only the reply that the journal holds proves that the rest is younger than it."""
    folder = copy_of(stamped, tmp_path)
    body = json.loads((folder / "journal.log").read_bytes().split(b"\n")[0].split(b"\t")[2])
    imprint = json.loads(body["statement"]["text"])["imprint"]
    reply = Stamper(stamped.folder.parent / "tsa").stamp(imprint)
    (folder / "before.tsr").write_bytes(reply)
    value = claim(folder)
    tokens = value["tokens"]
    assert isinstance(tokens, dict)
    before = hashlib.sha256(reply).hexdigest()
    sign_again(folder, {**value, "tokens": {**tokens, "before": before}}, reader(stamped.agency))
    assert "before.tsr: not the token that the journal holds" in failure(check(stamped, folder))


def test_a_token_over_another_hash_fails(stamped: Stamped, tmp_path: Path) -> None:
    agency, stamper = stamped.agency, stamped.stranger
    camera = builder(tmp_path / "data", agency)
    camera.genesis()
    camera.dock()
    rec = record(camera, 0, (1,))
    head = camera.files[-1][-1].digest.hex()
    journal_token(camera, head, stamper.stamp("0" * 64))
    camera.write()
    folder = make_bundle(camera, agency, rec, tmp_path / "bundle", tsa_pem=stamper.pem).folder
    assert "after.tsr: the token does not verify" in failure(check(stamped, folder))


def test_an_export_key_younger_than_the_token_is_judged_at_the_present_time(stamped: Stamped, tmp_path: Path) -> None:
    folder = copy_of(stamped, tmp_path)
    late_ms = stamped.agency.now_ms + 400 * DAY_MS
    late = make_late_reader(stamped.agency, late_ms)
    sign_again(folder, claim(folder), late)
    found = check(stamped, folder, late_ms + DAY_MS)
    assert found.code == 0, found.out
    assert "statement.p7s" in failure(check(stamped, folder, late_ms + YEARS_MS))


def make_late_reader(agency: TestAgency, now_ms: int) -> ExportSigner:
    issued = replace(agency, now_ms=now_ms).issue("export", agency.agency)
    return ExportSigner(issued.key, (issued.certificate,))


# --- the bundle attacks -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Stamped:
    """A small bundle without time stamps."""
    base = tmp_path_factory.mktemp("plain")
    agency = make_agency(base, simulated=False)
    camera = builder(base / "data", agency)
    camera.genesis()
    camera.dock()
    rec = record(camera, 0, (1,))
    camera.write()
    make_bundle(camera, agency, rec, base / "bundle")
    return Stamped(agency, make_stamper(base / "tsa"), base / "bundle")


@pytest.mark.parametrize("field", ["exporter", "utc", "recording"])
def test_what_the_statement_says_is_never_run(plain: Stamped, tmp_path: Path, field: str) -> None:
    folder = copy_of(plain, tmp_path)
    for attack in ATTACKS:
        sign_again(folder, {**claim(plain.folder), field: attack}, reader(plain.agency))
        assert "statement.json: not of the expected form" in failure(check(plain, folder))
    assert not list(tmp_path.rglob("forged"))


def test_what_the_journal_says_is_never_run_or_printed(plain: Stamped, tmp_path: Path) -> None:
    folder = copy_of(plain, tmp_path)
    data = (folder / "journal.log").read_bytes()
    for forged in (
        b'$(touch forged)\t\x1b[2J\t"\n',
        b"%s%n%d\t`touch forged`\t$(touch forged)\n",
        b"\t\t\n",
        b"x" * 70_000 + b"\n",
    ):
        (folder / "journal.log").write_bytes(data + forged)
        said = failure(check(plain, folder))
        assert said.isprintable()
        assert "forged" not in said
    assert not list(tmp_path.rglob("forged"))


def test_strange_files_beside_it_are_counted_and_not_touched(plain: Stamped, tmp_path: Path) -> None:
    folder = copy_of(plain, tmp_path)
    for name in ("-rf", "$(touch forged)", "a b", "clip-2.mp4", "*"):
        (folder / name).write_bytes(b"x")
    found = check(plain, folder)
    assert found.code == 0, found.out
    assert "5 other files of the folder" in found.out
    assert not list(tmp_path.rglob("forged"))


@pytest.mark.parametrize("name", ["clip.mp4", "statement.json", "agency.pem"])
def test_links_and_pipes_are_refused(plain: Stamped, tmp_path: Path, name: str) -> None:
    folder = copy_of(plain, tmp_path)
    kept = (folder / name).rename(tmp_path / "kept")
    (folder / name).symlink_to(kept)
    assert f"{name}: missing, or not a regular file" in failure(check(plain, folder))
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert f"{name}: missing, or not a regular file" in failure(check(plain, folder))


def test_each_file_of_the_bundle_is_missed(plain: Stamped, tmp_path: Path) -> None:
    for name in ("agency.pem", "camera.pem", "statement.json", "statement.p7s", "journal.log", "init.mp4"):
        folder = copy_of(plain, tmp_path / name)
        (folder / name).unlink()
        assert f"{name}: missing" in failure(check(plain, folder))


# --- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--ca-sha256"],
        ["--ca-sha256", ""],
        ["--ca-sha256", "0" * 63],
        ["--ca-sha256", "g" * 64],
        ["--ca-sha256", "0" * 64, "--allow"],
        ["--ca-sha256", "0" * 64, "/", "/"],
        ["--ca-sha256", "0" * 64, "/does/not/exist"],
    ],
)
def test_usage_is_2_and_says_nothing_of_the_bundle(plain: Stamped, arguments: list[str]) -> None:
    found = run_check(plain.folder, *arguments, now_ms=plain.agency.now_ms)
    assert (found.code, found.out) == (2, "")
    assert "CANNOT CHECK" in found.err


def test_a_missing_program_is_named(plain: Stamped, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "tr", "awk", "sha256sum"):
        (tools / name).symlink_to(shutil.which(name) or "")
    found = run_check(
        plain.folder,
        "--ca-sha256",
        plain.agency.fingerprint,
        now_ms=plain.agency.now_ms,
        shell="/bin/sh",
        path=str(tools),
    )
    assert found.code == 2
    assert "missing program: openssl" in found.err


def test_openssl_awk_and_coreutils_are_enough(plain: Stamped, tmp_path: Path) -> None:
    """And the awk may be Debian 12's mawk."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "awk").symlink_to(shutil.which("mawk") or "")
    for name in STOCK_TOOLS + MORE_TOOLS:
        (tools / name).symlink_to(shutil.which(name) or "")
    found = run_check(
        plain.folder,
        "--ca-sha256",
        plain.agency.fingerprint,
        now_ms=plain.agency.now_ms,
        shell="/bin/sh",
        path=str(tools),
    )
    assert (found.code, found.err) == (0, "")
