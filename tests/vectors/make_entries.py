"""Writes tests/vectors/entries/: a journal with every kind of entry, and one line for each way to be wrong.

    journal.log     the journal of one camera, from genesis on: chained, signed
    camera.pem      the certificate whose key signed it
    agency.pem      the authority that issued it
    *.line          one wrong line each
    index.json      what the journal's lines say, and how each wrong line is refused

Nothing of agent/ takes part. The keys are made from their names (tests/support/signed_json.py) and worth nothing. Time
stamps, hashes of files and sealed texts are noise where only their form is tested.

    python -m tests.vectors.make_entries [--check]
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from tests.support.signed_json import AGENCY, base64_of, canonical, certificate, sha256
from tests.support.vectors import run
from tests.vectors.entries_story import (
    AGENCY_KEY,
    FIRST_BOOT,
    SEALED,
    ZEROS,
    camera_certificate,
    join,
    journal,
    statement,
    story,
)
from tests.vectors.make_statement import JID, NOT_UTC, digest

FOLDER = Path(__file__).parent / "entries"

NOT_CANONICAL = "json: not in the canonical encoding (keys sorted and once, no white space)"
NOT_HASH = "not a SHA-256 in 64 lower-case hex digits"
NOT_NS = "not nanoseconds as a decimal string from 0 to 2^63-1"
NOT_COUNT = "not an integer from 0 to 9007199254740991"
TIME_RULE = "head.time: utc and err_ms are null when src is none, and only then"
SEQ_RULE = "head.seq: 0 belongs to genesis, and prev is zeros there only"
OTHER_BODY = "body: its hash is not the one in the head"


def seq_of(kind: str) -> int:
    return next(seq for seq, (found, _) in enumerate(story()) if found == kind)


def entry(kind: str) -> tuple[bytes, bytes, bytes]:
    return journal()[seq_of(kind)]


def with_head(changed: Mapping[str, object], kind: str = "fragment") -> bytes:
    """A line whose head was changed; a field set to Ellipsis is left out."""
    head, signature, body = entry(kind)
    value = {**json.loads(head), **changed}
    return join(canonical({name: item for name, item in value.items() if item is not ...}), signature, body)


def with_time(**changed: object) -> bytes:
    return with_head({"time": {"err_ms": 40, "src": "beacon", "utc": "2026-03-02T08:00:00.000Z", **changed}})


def with_body_bytes(body: bytes, kind: str = "fragment") -> bytes:
    """A line with another body, and its hash in the head."""
    head, signature, _ = entry(kind)
    return join(canonical({**json.loads(head), "body": sha256(body)}), signature, body)


def with_body(changed: Mapping[str, object], kind: str = "fragment") -> bytes:
    value = {**json.loads(entry(kind)[2]), **changed}
    return with_body_bytes(canonical({name: item for name, item in value.items() if item is not ...}), kind)


def with_raw(head: bytes | None = None, signature: bytes | None = None, body: bytes | None = None) -> bytes:
    """A fragment's line with one column replaced, and nothing else adapted to it."""
    parts = entry("fragment")
    return join(head or parts[0], parts[1] if signature is None else signature, parts[2] if body is None else body)


def refused_lines() -> dict[str, tuple[bytes, str]]:
    head, signature, body = entry("fragment")
    good = join(head, signature, body)
    return {
        "line-empty": (b"", "line: does not end in a newline"),
        "line-newline-only": (b"\n", "line: 1 columns, not head, signature and body"),
        "line-no-newline": (good[:-1], "line: does not end in a newline"),
        "line-crlf": (good[:-1] + b"\r\n", OTHER_BODY),
        "line-crlf-after-withheld": (with_raw(body=b"-\r"), OTHER_BODY),
        "line-two": (good + good, "line: 5 columns, not head, signature and body"),
        "line-two-columns": (head + b"\t" + body + b"\n", "line: 2 columns, not head, signature and body"),
        "line-tab-inside": (
            join(head, signature, body.replace(b'"rec":"', b'"rec":"\t')),
            "line: 4 columns, not head, signature and body",
        ),
        "line-tab-at-end": (good[:-1] + b"\t\n", "line: 4 columns, not head, signature and body"),
        "line-byte-order-mark": (b"\xef\xbb\xbf" + good, "json: not JSON in UTF-8"),
        "line-nul-before": (b"\0" + good, "json: not JSON in UTF-8"),
        "line-spaces-for-tabs": (good.replace(b"\t", b" "), "line: 1 columns, not head, signature and body"),
        "line-too-long": (
            with_raw(body=b"x" * 16_384),
            f"line: {len(head) + len(signature) + 16_387} bytes are more than 16384",
        ),
        "line-longest-of-all": (b"x" * 65_537, "line: 65537 bytes are more than 65536"),
        "signature-missing": (with_raw(signature=b""), "signature: 0 bytes, not 8 to 72"),
        "signature-none-on-a-mark": (
            join(entry("mark")[0], b"-", entry("mark")[2]),
            "signature: a mark entry is always signed",
        ),
        "signature-two-hyphens": (with_raw(signature=b"--"), "signature: not base64"),
        "signature-without-padding": (
            with_raw(signature=base64_of(bytes(70)).rstrip("=").encode()),
            "signature: not base64",
        ),
        "signature-loose-bits": (with_raw(signature=b"MAYCAQECAQF="), "signature: not canonical base64"),
        "signature-space": (with_raw(signature=signature + b" "), "signature: not base64"),
        "signature-7-bytes": (with_raw(signature=base64_of(bytes(7)).encode()), "signature: 7 bytes, not 8 to 72"),
        "signature-73-bytes": (with_raw(signature=base64_of(bytes(73)).encode()), "signature: 73 bytes, not 8 to 72"),
        "head-not-json": (with_raw(head=b"-"), "json: not JSON in UTF-8"),
        "head-space": (with_raw(head=head.replace(b",", b", ", 1)), NOT_CANONICAL),
        "head-unsorted": (
            with_raw(head=head.replace(b',"typ":"temoin/entry/1"', b"").replace(b"{", b'{"typ":"temoin/entry/1",', 1)),
            NOT_CANONICAL,
        ),
        "head-duplicate-key": (with_raw(head=head.replace(b',"typ"', b',"typ":"temoin/entry/1","typ"')), NOT_CANONICAL),
        "head-slash-escaped": (with_raw(head=head.replace(b"temoin/entry", b"temoin\\/entry")), NOT_CANONICAL),
        "head-letter-escaped": (with_raw(head=head.replace(b"fragment", b"\\u0066ragment")), NOT_CANONICAL),
        "head-field-missing": (with_head({"boot": ...}), "head.boot: missing"),
        "head-field-unknown": (with_head({"extra": None}), "head: unknown field 'extra'"),
        "head-type": (with_head({"typ": "temoin/entry/2"}), "head.typ: 'temoin/entry/2' is none of temoin/entry/1"),
        "head-kind-unknown": (with_head({"kind": "frag"}), "head.kind: 'frag' is not known at version 1"),
        "head-kind-a-list": (with_head({"kind": ["fragment"]}), "head.kind: list is not known at version 1"),
        "head-kind-of-another-body": (with_head({"kind": "mark"}), "mark.press_ns: missing"),
        "head-dev-capital": (with_head({"dev": "CAM"}), "head.dev: not an id of 1 to 32 characters a-z, 0-9 and -"),
        "head-jid-short": (with_head({"jid": JID[:-1]}), "head.jid: not 128 bits in 32 lower-case hex digits"),
        "head-boot-capital": (with_head({"boot": FIRST_BOOT.upper()}), "head.boot: not the kernel's boot id"),
        "head-prev-capital": (with_head({"prev": "A" * 64}), f"head.prev: {NOT_HASH}"),
        "head-prev-zeros-after-genesis": (with_head({"prev": ZEROS}), SEQ_RULE),
        "head-seq-0-without-genesis": (with_head({"seq": 0}), SEQ_RULE),
        "head-seq-0-with-a-prev": (with_head({"prev": digest("prev")}, "genesis"), SEQ_RULE),
        "head-genesis-again": (with_head({"seq": 5}, "genesis"), SEQ_RULE),
        "head-seq-negative": (with_head({"seq": -1}), f"head.seq: {NOT_COUNT}"),
        "head-seq-minus-zero": (with_raw(head=head.replace(b'"seq":13', b'"seq":-0')), NOT_CANONICAL),
        "head-seq-exponent": (with_raw(head=head.replace(b'"seq":13', b'"seq":1e1')), "json: 1e1 is not an integer"),
        "head-seq-4300-digits": (
            with_raw(head=head.replace(b'"seq":13', b'"seq":' + b"1" * 4300)),
            "json: 11111111111111111111... is outside +-(2^53-1)",
        ),
        "head-seq-text": (with_head({"seq": "13"}), f"head.seq: {NOT_COUNT}"),
        "head-mono-number": (with_head({"mono_ns": 1}), f"head.mono_ns: {NOT_NS}"),
        "head-mono-leading-zero": (with_head({"mono_ns": "01"}), f"head.mono_ns: {NOT_NS}"),
        "head-mono-negative": (with_head({"mono_ns": "-1"}), f"head.mono_ns: {NOT_NS}"),
        "head-mono-too-large": (with_head({"mono_ns": str(2**63)}), f"head.mono_ns: {NOT_NS}"),
        "time-src-unknown": (with_time(src="gps"), "head.time.src: 'gps' is none of beacon, rtc, none, disputed"),
        "time-utc-null-alone": (with_time(utc=None), TIME_RULE),
        "time-err-null-alone": (with_time(err_ms=None), TIME_RULE),
        "time-none-with-utc": (with_time(src="none"), TIME_RULE),
        "time-beacon-without-utc": (with_time(utc=None, err_ms=None), TIME_RULE),
        "time-err-negative": (with_time(err_ms=-1), f"head.time.err_ms: {NOT_COUNT}"),
        "time-leap-second": (with_time(utc="2026-12-31T23:59:60.000Z"), f"head.time.utc: {NOT_UTC}"),
        "time-year-0": (with_time(utc="0000-03-02T08:00:00.000Z"), "head.time.utc: no such time"),
        "time-year-10000": (with_time(utc="10000-03-02T08:00:00.000Z"), f"head.time.utc: {NOT_UTC}"),
        "time-29-february": (with_time(utc="2026-02-29T08:00:00.000Z"), "head.time.utc: no such time"),
        "time-microseconds": (with_time(utc="2026-03-02T08:00:00.000000Z"), f"head.time.utc: {NOT_UTC}"),
        "body-empty": (with_raw(body=b""), OTHER_BODY),
        "body-empty-with-its-hash": (with_body_bytes(b""), "json: not JSON in UTF-8"),
        "body-changed": (with_raw(body=body.replace(b'"frames":25', b'"frames":26')), OTHER_BODY),
        "body-of-another-entry": (join(head, signature, entry("mark")[2]), OTHER_BODY),
        "body-space": (with_body_bytes(body.replace(b":", b": ", 1)), NOT_CANONICAL),
        "body-duplicate-key": (
            with_body_bytes(body.replace(b'"frames":25', b'"frames":24,"frames":25')),
            NOT_CANONICAL,
        ),
        "body-nul": (with_body_bytes(body.replace(b'"rec":"', b'"rec":"\0')), "json: not JSON in UTF-8"),
        "body-something-after": (with_body_bytes(body + b"x"), "json: not JSON in UTF-8"),
        "head-something-after": (with_raw(head=head + b"x"), "json: not JSON in UTF-8"),
        "head-seq-leading-zero": (with_raw(head=head.replace(b'"seq":13', b'"seq":013')), "json: not JSON in UTF-8"),
        "body-depth": (with_body_bytes(b'{"a":' * 9 + b"1" + b"}" * 9), "json: nested deeper than 8"),
        "body-no-salt": (with_body({"salt": ...}), "fragment.salt: missing"),
        "body-salt-short": (with_body({"salt": "00"}), "fragment.salt: not 128 bits in 32 lower-case hex digits"),
        "body-field-missing": (with_body({"blob": ...}), "fragment.blob: missing"),
        "body-field-unknown": (with_body({"gps": "47.2,-1.5"}), "fragment: unknown field 'gps'"),
        "fragment-rec": (with_body({"rec": "cam-0001"}), "fragment.rec: not a recording's id: <dev>-<8 hex>-<seq>"),
        "fragment-seg": (with_body({"seg": 100_001}), "fragment.seg: not an integer from 0 to 100000"),
        "fragment-len-not-whole-chunks": (with_body({"len": 65_553}), "fragment.len: not 1 to 129 times 65552"),
        "fragment-len-of-plaintext": (with_body({"len": 1_048_576}), "fragment.len: not 1 to 129 times 65552"),
        "fragment-len-0": (with_body({"len": 0}), "fragment.len: not 1 to 129 times 65552"),
        "fragment-len-130-chunks": (with_body({"len": 130 * SEALED}), "fragment.len: not 1 to 129 times 65552"),
        "fragment-no-frames": (with_body({"frames": 0}), "fragment.frames: not an integer from 1 to 1000"),
        "fragment-sound-1": (with_body({"sound": 1}), "fragment.sound: not true or false"),
        "fragment-t0-number": (with_body({"t0_ns": 1}), f"fragment.t0_ns: {NOT_NS}"),
        "fragment-plain-null": (with_body({"plain": None}), f"fragment.plain: {NOT_HASH}"),
        "genesis-no-certificate": (with_body({"chain": []}, "genesis"), "genesis.chain: not a list of 1 to 4"),
        "genesis-key-class": (
            with_body({"key_class": "cloud"}, "genesis"),
            "genesis.key_class: 'cloud' is none of file, chip, chip+counter",
        ),
        "boot-torn-null": (with_body({"torn": None}, "boot"), "boot.torn: not a list of 0 to 32"),
        "checkpoint-prev-head-null": (
            with_body({"prev_head": None}, "checkpoint"),
            f"checkpoint.prev_head: {NOT_HASH}",
        ),
        "checkpoint-dseq-twice": (
            with_body({"dseq": [{"dock": "dock-01", "dseq": 1}] * 2}, "checkpoint"),
            "checkpoint.dseq: a dock comes twice",
        ),
        "checkpoint-no-certificate": (
            with_body({"chain": []}, "checkpoint"),
            "checkpoint.chain: not a list of 1 to 4",
        ),
        "dock-no-certificate": (with_body({"chain": []}, "dock"), "dock.chain: not a list of 1 to 4"),
        "dock-chain-missing": (with_body({"chain": ...}, "dock"), "dock.chain: missing"),
        "undock-with-a-chain": (
            with_body({"chain": [base64_of(camera_certificate())]}, "undock"),
            "undock: unknown field 'chain'",
        ),
        "ack-of-another-type": (with_body({"statement": statement("hold")}, "ack"), "ack.statement: is a hold"),
        "ack-not-a-statement": (
            with_body({"statement": {"sig": base64_of(bytes(70)), "text": "{}"}}, "ack"),
            "ack.statement: typ: NoneType is not known at version 1",
        ),
        "ack-null": (with_body({"statement": None}, "ack"), "ack.statement: not an object"),
        "selftest-outcome": (
            with_body({"checks": [{"name": "lens", "outcome": "ok", "values": {}, "remedy": None}]}, "selftest"),
            "selftest.checks[0].outcome: 'ok' is none of well, warn, failed, unknown",
        ),
        "selftest-value-a-list": (
            with_body({"checks": [{"name": "lens", "outcome": "well", "values": [], "remedy": None}]}, "selftest"),
            "selftest.checks[0].values: not an object of at most 16 keys",
        ),
        "alert-17-values": (
            with_body({"values": {f"v{n}": n for n in range(17)}}, "alert"),
            "alert.values: not an object of at most 16 keys",
        ),
        "alert-nested-value": (
            with_body({"values": {"a": []}}, "alert"),
            "alert.values.a: not a text of 0 to 200 characters",
        ),
        "orphan-absolute": (with_body({"file": "/etc/passwd"}, "orphan"), ORPHAN),
        "orphan-leaves-the-folder": (with_body({"file": "segments/../../x"}, "orphan"), ORPHAN),
        "orphan-two-slashes": (with_body({"file": "segments//x"}, "orphan"), ORPHAN),
        "orphan-not-escaped": (with_body({"file": "segments/é"}, "orphan"), ORPHAN),
        "stop-cause": (
            with_body({"cause": "tired"}, "recording.stop"),
            "recording.stop.cause: 'tired' is none of hold, interrupted, cut_off, card, shutdown",
        ),
        "gap-cause": (
            with_body({"cause": "unknown"}, "gap"),
            "gap.cause: 'unknown' is none of agent_restart, capture_restart, overrun, capture_late",
        ),
        "open-init-len": (
            with_body({"init_len": SEALED}, "segment.open"),
            "segment.open.init_len: not 1 to 129 times 65536",
        ),
        "open-no-recipient": (
            with_body({"recipients": []}, "segment.open"),
            "segment.open.recipients: not a list of 1 to 16",
        ),
    }


ORPHAN = "orphan.file: not a relative file name (other bytes than A-Z a-z 0-9 . _ - as %XX, no . or .. on its own)"


def pem(der: bytes) -> bytes:
    rows = "\n".join(textwrap.wrap(base64_of(der), 64))
    return f"-----BEGIN CERTIFICATE-----\n{rows}\n-----END CERTIFICATE-----\n".encode()


def generate() -> Mapping[str, bytes]:
    """Names of files to their bytes."""
    refused = refused_lines()
    entries = [{"head": json.loads(head), "body": json.loads(body)} for head, _, body in journal()]
    index = {"journal.log": entries, "refused": {f"{name}.line": error for name, (_, error) in refused.items()}}
    return {
        "journal.log": b"".join(join(*parts) for parts in journal()),
        "camera.pem": pem(camera_certificate()),
        "agency.pem": pem(certificate(f"ca:{AGENCY}", AGENCY_KEY, AGENCY_KEY)),
        "index.json": json.dumps(index, indent=1, sort_keys=True).encode() + b"\n",
        **{f"{name}.line": data for name, (data, _) in refused.items()},
    }


if __name__ == "__main__":
    sys.exit(run(FOLDER, generate))
