"""Writes tests/vectors/statement/: one statement of each type, and one for each way to be wrong; `index.json` explains.

Nothing of agent/ takes part. The keys are made from their names (tests/support/signed_json.py) and worth nothing; the
`tsr` is noise, not an answer of a time-stamping authority: the format alone is tested here.

    python -m tests.vectors.make_statement [--check]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.signed_json import base64_of, canonical, key, noise, sha256, sign
from tests.support.vectors import run

FOLDER = Path(__file__).parent / "statement"

DEV = "cam-0001"
JID = noise("journal", 16).hex()
REC = f"{DEV}-{JID[:8]}-11"
SESSION = noise("session", 16).hex()
DOCK_KEY = key("dock-01")
POLICY_KEY = key("policy of sdis-44")

NOT_ONE_LINE = "statement: not one line of JSON, a tab and a signature"
NOT_CANONICAL = "json: not in the canonical encoding (keys sorted and once, no white space)"
ACK_RULE = "ack.head: is zeros when seq is -1, and only then"
NOT_UTC = "not a UTC time like 2026-01-31T08:00:00.000Z"


def digest(name: str) -> str:
    """A hash that stands for something that is not in the vectors."""
    return sha256(name.encode())


def from_dock(dseq: int, **own: object) -> dict[str, object]:
    """What every statement of a dock holds, and its own fields."""
    return {
        "agency": "sdis-44",
        "dock": "dock-01",
        "dev": DEV,
        "jid": JID,
        "dseq": dseq,
        "session": SESSION,
        "utc": f"2026-03-02T07:55:{dseq:02d}.000Z",
        **own,
    }


BLOB = {"rec": REC, "seg": 0, "blob": digest("blob"), "size": 1_117_600}
RECIPIENT = "age1pq1" + "q" * 1900
VALUES: dict[str, dict[str, object]] = {
    "beacon": from_dock(1, nonce=SESSION, head=digest("head"), err_ms=40, token=None, dock_head=digest("dock")),
    "assign": from_dock(
        2,
        wearer=noise("wearer", 16).hex(),
        service="Centre de secours de Rezé",
        sector="Sud-Loire",
        **{"from": "2026-03-02T08:00:00.000Z", "until": "2026-03-02T20:00:00.000Z"},
    ),
    "ack": from_dock(3, seq=7, head=digest("head")),
    "ticket": from_dock(
        4,
        **BLOB,
        method="PUT",
        url='https://dock-01.sdis-44.example/blobs/1?until=2026&of="x"',
        headers=[{"name": "content-length", "value": "1117600"}],
        ttl_s=900,
    ),
    "receipt": from_dock(
        5, **BLOB, seal_seq=20, seal_head=digest("seal"), store="dock-01", version="1", dock_head=digest("dock")
    ),
    "token": from_dock(6, head=digest("head"), imprint=digest("head"), tsr=base64_of(noise("tsr", 1500))),
    "hold": from_dock(7, rec=REC, until=None),
    "config": from_dock(8, hash=digest("config"), values={"language": "fr", "volume": "3"}),
    "policy": {
        "agency": "sdis-44",
        "version": 3,
        "not_before": "2026-01-01T00:00:00.000Z",
        "cameras": ["cam-0001", "cam-0002"],
        "profile": "fr-2022",
        "recipients": [RECIPIENT, RECIPIENT[:-1] + "p"],
        "docks": ["dock-01"],
        "intake_hosts": ["dock-01.sdis-44.example:8443"],
        "tsa_roots": [base64_of(noise("tsa", 600))],
        "retention_days": 180,
        "purge_days": 7,
        "prerecord_ms": 30_000,
        "prerecord_sound": False,
        "sound": True,
    },
}

NOTHING: dict[str, object] = {"seq": -1, "head": "0" * 64}
"""Of an `ack`: the archive has nothing of this journal."""


def text(name: str, **changed: object) -> bytes:
    """The bytes to sign, some fields changed; a field set to Ellipsis is left out."""
    value = {**VALUES[name], "typ": f"temoin/{name}/1", **changed}
    return canonical({field: item for field, item in value.items() if item is not ...})


def line(signed: bytes, name: str = "ack") -> bytes:
    """The signed line."""
    signer = POLICY_KEY if name == "policy" else DOCK_KEY
    return signed + b"\t" + base64_of(sign(signer, signed)).encode() + b"\n"


def ack(**changed: object) -> bytes:
    return line(text("ack", **changed))


def policy(**changed: object) -> bytes:
    return line(text("policy", **changed), "policy")


def signed_as(signature: bytes) -> bytes:
    return text("ack") + b"\t" + signature + b"\n"


GOOD = ack()
SIGNATURE = GOOD.split(b"\t")[1][:-1]

REFUSED: dict[str, tuple[bytes, str]] = {
    "line-empty": (b"", NOT_ONE_LINE),
    "line-no-newline": (GOOD[:-1], NOT_ONE_LINE),
    "line-crlf": (GOOD[:-1] + b"\r\n", "signature: not base64"),
    "line-two": (GOOD + GOOD, NOT_ONE_LINE),
    "line-newline-after": (GOOD + b"\n", NOT_ONE_LINE),
    "line-three-columns": (GOOD[:-1] + b"\t-\n", NOT_ONE_LINE),
    "line-no-signature": (text("ack") + b"\n", NOT_ONE_LINE),
    "line-too-long": (b'{"a":"' + b"x" * 65_536 + GOOD[-105:], "statement: 65647 bytes are more than 65536"),
    "signature-empty": (signed_as(b""), "signature: 0 bytes, not 8 to 72"),
    "signature-none": (signed_as(b"-"), "signature: not base64"),
    "signature-without-padding": (signed_as(base64_of(bytes(70)).rstrip("=").encode()), "signature: not base64"),
    "signature-loose-bits": (signed_as(b"MAYCAQECAQF="), "signature: not canonical base64"),
    "signature-url-alphabet": (signed_as(base64_of(b"\xff" * 9).replace("/", "_").encode()), "signature: not base64"),
    "signature-space": (signed_as(b" " + SIGNATURE), "signature: not base64"),
    "signature-not-ascii": (signed_as(SIGNATURE[:-1] + b"\xe9"), "signature: not base64"),
    "signature-73-bytes": (signed_as(base64_of(bytes(73)).encode()), "signature: 73 bytes, not 8 to 72"),
    "json-space": (line(text("ack").replace(b",", b", ", 1)), NOT_CANONICAL),
    "json-duplicate-key": (line(b'{"agency":"sdis-44",' + text("ack")[1:]), NOT_CANONICAL),
    "json-array": (line(b"[]"), "json: not an object"),
    "type-missing": (ack(typ=...), "typ: NoneType is not known at version 1"),
    "type-unknown": (ack(typ="temoin/nack/1"), "typ: 'temoin/nack/1' is not known at version 1"),
    "type-entry": (ack(typ="temoin/entry/1"), "typ: 'temoin/entry/1' is not known at version 1"),
    "type-version": (ack(typ="temoin/ack/2"), "ack.typ: 'temoin/ack/2' is none of temoin/ack/1"),
    "type-other-project": (ack(typ="other/ack/1"), "ack.typ: 'other/ack/1' is none of temoin/ack/1"),
    "type-more-slashes": (ack(typ="temoin/ack/1/"), "typ: 'temoin/ack/1/' is not known at version 1"),
    "type-of-another": (ack(typ="temoin/hold/1"), "hold.rec: missing"),
    "field-missing": (ack(session=...), "ack.session: missing"),
    "field-unknown": (ack(extra=1), "ack: unknown field 'extra'"),
    "agency-capital": (ack(agency="SDIS"), "ack.agency: not an id of 1 to 32 characters a-z, 0-9 and -"),
    "dev-33-characters": (ack(dev="c" * 33), "ack.dev: not an id of 1 to 32 characters a-z, 0-9 and -"),
    "dock-empty": (ack(dock=""), "ack.dock: not an id of 1 to 32 characters a-z, 0-9 and -"),
    "jid-short": (ack(jid=JID[:-1]), "ack.jid: not 128 bits in 32 lower-case hex digits"),
    "jid-capital": (ack(jid="A" * 32), "ack.jid: not 128 bits in 32 lower-case hex digits"),
    "dseq-negative": (ack(dseq=-1), "ack.dseq: not an integer from 0 to 9007199254740991"),
    "dseq-true": (ack(dseq=True), "ack.dseq: not an integer from 0 to 9007199254740991"),
    "dseq-text": (ack(dseq="3"), "ack.dseq: not an integer from 0 to 9007199254740991"),
    "utc-null": (ack(utc=None), f"ack.utc: {NOT_UTC}"),
    "utc-no-milliseconds": (ack(utc="2026-03-02T07:55:03Z"), f"ack.utc: {NOT_UTC}"),
    "utc-offset": (ack(utc="2026-03-02T07:55:03.000+00:00"), f"ack.utc: {NOT_UTC}"),
    "utc-leap-second": (ack(utc="2026-12-31T23:59:60.000Z"), f"ack.utc: {NOT_UTC}"),
    "utc-hour-24": (ack(utc="2026-03-02T24:00:00.000Z"), f"ack.utc: {NOT_UTC}"),
    "utc-30-february": (ack(utc="2026-02-30T00:00:00.000Z"), "ack.utc: no such time"),
    "utc-year-0": (ack(utc="0000-01-01T00:00:00.000Z"), "ack.utc: no such time"),
    "utc-other-digits": (ack(utc="２026-03-02T07:55:03.000Z"), f"ack.utc: {NOT_UTC}"),
    "head-65-digits": (ack(head=digest("head") + "0"), "ack.head: not a SHA-256 in 64 lower-case hex digits"),
    "head-newline": (ack(head=digest("head")[:-1] + "\n"), "head: a control character or a lone surrogate"),
    "ack-nothing-with-a-head": (ack(seq=-1), ACK_RULE),
    "ack-zeros-with-a-seq": (ack(head="0" * 64), ACK_RULE),
    "ack-seq-minus-2": (ack(seq=-2), "ack.seq: not an integer from -1 to 9007199254740991"),
    "beacon-nonce-null": (line(text("beacon", nonce=None)), "beacon.nonce: not 128 bits in 32 lower-case hex digits"),
    "assign-no-wearer": (line(text("assign", wearer="")), "assign.wearer: not 128 bits in 32 lower-case hex digits"),
    "ticket-post": (line(text("ticket", method="POST")), "ticket.method: 'POST' is none of PUT"),
    "ticket-header-list": (
        line(text("ticket", headers=[["content-length", "1"]])),
        "ticket.headers[0]: not an object",
    ),
    "ticket-too-long-a-time": (line(text("ticket", ttl_s=86_401)), "ticket.ttl_s: not an integer from 1 to 86400"),
    "receipt-rec-leading-zero": (
        line(text("receipt", rec=f"{DEV}-{JID[:8]}-011")),
        "receipt.rec: not a recording's id: <dev>-<8 hex>-<seq>",
    ),
    "receipt-rec-leaves-the-folder": (
        line(text("receipt", rec="../../etc-00000000-1")),
        "receipt.rec: not a recording's id: <dev>-<8 hex>-<seq>",
    ),
    "token-short": (line(text("token", tsr=base64_of(bytes(99)))), "token.tsr: 99 bytes, not 100 to 40000"),
    "hold-until-missing": (line(text("hold", until=...)), "hold.until: missing"),
    "config-17-values": (
        line(text("config", values={f"key_{index}": "" for index in range(17)})),
        "config.values: not an object of at most 16 keys",
    ),
    "config-long-key": (
        line(text("config", values={"k" * 65: "v"})),
        f"config.values: key '{'k' * 40}'... is not a text of at most 64 characters",
    ),
    "config-number": (line(text("config", values={"a": 1})), "config.values.a: not a text of 1 to 100 characters"),
    "policy-no-recipient": (policy(recipients=[]), "policy.recipients: not a list of 1 to 16"),
    "policy-recipient-is-a-secret": (
        policy(recipients=["AGE-SECRET-KEY-1" + "Q" * 58]),
        "policy.recipients[0]: not a recipient of age: age1pq... or age1...",
    ),
    "policy-7-post-quantum-recipients": (
        policy(recipients=[RECIPIENT] * 7),
        "policy.recipients: more than 6 post-quantum recipients",
    ),
    "policy-version-0": (policy(version=0), "policy.version: not an integer from 1 to 9007199254740991"),
    "policy-profile": (policy(profile="fr-2030"), "policy.profile: 'fr-2030' is none of fr-2016, fr-2022"),
    "policy-prerecord": (policy(prerecord_ms=120_001), "policy.prerecord_ms: not an integer from 0 to 120000"),
    "policy-sound-null": (policy(sound=None), "policy.sound: not true or false"),
    "policy-retention": (policy(retention_days=0), "policy.retention_days: not an integer from 1 to 400"),
    "policy-purge-401": (policy(purge_days=401), "policy.purge_days: not an integer from 0 to 400"),
    "policy-purge-negative": (policy(purge_days=-1), "policy.purge_days: not an integer from 0 to 400"),
    "policy-purge-missing": (policy(purge_days=...), "policy.purge_days: missing"),
    "policy-host": (
        policy(intake_hosts=["https://dock"]),
        "policy.intake_hosts[0]: not a host name, with or without a port",
    ),
    "ticket-too-long": (
        line(text("ticket", headers=[{"name": "n", "value": "v" * 2000}] * 8)),
        "statement: 16631 signed bytes do not fit into a line of 16384",
    ),
}


def generate() -> Mapping[str, bytes]:
    """Names of files to their bytes."""
    files = {f"valid-{name}.line": line(text(name), name) for name in VALUES}
    files["valid-ack-nothing.line"] = ack(**NOTHING)
    files |= {f"{name}.line": data for name, (data, _) in REFUSED.items()}
    index: dict[str, dict[str, object]] = {
        f"valid-{name}.line": {"type": name, "value": value} for name, value in VALUES.items()
    }
    index["valid-ack-nothing.line"] = {"type": "ack", "value": {**VALUES["ack"], **NOTHING}}
    index |= {f"{name}.line": {"error": error} for name, (_, error) in REFUSED.items()}
    files["index.json"] = json.dumps(index, indent=1, sort_keys=True).encode() + b"\n"
    return files


if __name__ == "__main__":
    sys.exit(run(FOLDER, generate))
