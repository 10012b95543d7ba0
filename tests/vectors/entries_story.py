"""The journal of tests/vectors/entries/: what happened, and its bytes, written without the project's code.

One camera, two starts, every kind of entry. Whatever is hashed, sealed or stamped outside the journal is noise.
"""

from __future__ import annotations

from functools import cache

from tests.support.signed_json import base64_of, canonical, certificate, key, noise, sha256, sign
from tests.vectors import make_statement
from tests.vectors.make_statement import DEV, JID, REC, SESSION, digest

CAMERA_KEY = key("camera cam-0001")
AGENCY_KEY = key("agency sdis-44")
FIRST_BOOT, SECOND_BOOT = (
    "1f0e5c1a-6c77-4a43-9f0e-2b1d8c4e7a90",
    "c4d6a2b0-93f1-4e57-8a6d-5b0f3e9d7c21",
)
SECOND_BOOT_FROM = 25
START_NS = 20_000_000_000
PRESS_NS = 30_900_000_000
T0_NS = PRESS_NS - 1_500_000_000
CHUNK, SEALED = 65_536, 65_552
FIRST_OFFSET = 3_184 + 16 + SEALED

ZEROS = "0" * 64


@cache
def camera_certificate() -> bytes:
    return certificate(f"camera:{DEV}", CAMERA_KEY, AGENCY_KEY)


@cache
def dock_certificate() -> bytes:
    return certificate("dock:dock-01", make_statement.DOCK_KEY, AGENCY_KEY)


def statement(name: str) -> dict[str, object]:
    """The dock's line inside a body."""
    signed = make_statement.text(name)
    return {"sig": base64_of(sign(make_statement.DOCK_KEY, signed)), "text": signed.decode()}


def fragment(n: int, pre: bool) -> dict[str, object]:
    """The n-th fragment of segment 0: one second, 16 chunks."""
    return {
        "rec": REC,
        "seg": 0,
        "n": n,
        "off": FIRST_OFFSET + n * 16 * SEALED,
        "len": 16 * SEALED,
        "t0_ns": str(T0_NS + n * 1_000_000_000),
        "dur_ns": "1000000000",
        "frames": 25,
        "sound": not pre,
        "pre": pre,
        "plain": digest(f"plain {n}"),
        "blob": digest(f"blob {n}"),
    }


def story() -> list[tuple[str, dict[str, object]]]:
    """Every kind of entry once or more, in an order that could have happened, and then the rarer ones."""
    press: dict[str, object] = {"rec": REC, "press_ns": str(PRESS_NS)}
    tap = {"rec": REC, "press_ns": str(PRESS_NS + 1_100_000_000)}
    hold = {"rec": REC, "press_ns": str(PRESS_NS + 9_000_000_000)}
    chain = [base64_of(camera_certificate())]
    docking = {"session": SESSION, "dock": "dock-01"}
    reference = {"seq": 7, "head": digest("referenced")}
    policy: dict[str, object] = {"hash": sha256(make_statement.text("policy")), "version": 3}
    alert: dict[str, object] = {
        "cause": "clock_step",
        "values": {"step_ms": -90_000_000, "source": "beacon"},
        "remedy": "dock",
    }
    return [
        (
            "genesis",
            {
                "chain": chain,
                "key_class": "file",
                "slow_signer": True,
                "model": "sim-1",
                "software": "0.1.0",
                "enrolment": None,
            },
        ),
        ("boot", boot(clean=True, last=(0, ZEROS))),
        ("policy", policy),
        ("dock", {**docking, "beacon": None, "chain": [base64_of(dock_certificate())]}),
        ("beacon", {"statement": statement("beacon")}),
        ("token", {"statement": statement("token")}),
        ("assign", {"statement": statement("assign")}),
        ("ack", {"statement": statement("ack")}),
        ("config", {"hash": digest("config"), "statement": statement("config")}),
        ("undock", {**docking, "beacon": digest("beacon")}),
        (
            "selftest",
            {
                "checks": [
                    {"name": "lens", "outcome": "well", "values": {"contrast": 41, "luma": 97}, "remedy": None},
                    {"name": "microphone", "outcome": "failed", "values": {}, "remedy": "check_microphone"},
                    {"name": "card", "outcome": "unknown", "values": {"reserve": None}, "remedy": None},
                ]
            },
        ),
        (
            "recording.start",
            {
                **press,
                "cause": "press",
                "wanted_ms": 30_000,
                "got_ms": 1_500,
                "reason": "ring_filling",
                "wearer": noise("wearer", 16).hex(),
                "source": "footage bikes.mp4",
                "counter": None,
            },
        ),
        (
            "segment.open",
            {
                "rec": REC,
                "seg": 0,
                "header": digest("header"),
                "nonce": noise("nonce", 16).hex(),
                "init": digest("init"),
                "init_len": CHUNK,
                "recipients": [digest("agency"), digest("escrow")],
                "policy": policy["hash"],
                "source": "footage bikes.mp4",
            },
        ),
        ("fragment", fragment(0, pre=True)),
        ("fragment", fragment(1, pre=False)),
        ("fragment", fragment(2, pre=False)),
        ("mark", dict(tap)),
        ("notice", {**tap, "state": "impossible", "reason": base64_of(noise("reason", 3_300))}),
        ("place", {**press, "sealed": base64_of(noise("place", 3_300))}),
        (
            "gap",
            {
                "rec": REC,
                "from_ns": str(T0_NS + 3_000_000_000),
                "to_ns": str(T0_NS + 4_200_000_000),
                "cause": "capture_restart",
            },
        ),
        ("segment.seal", {"rec": REC, "seg": 0, "n": 3, "size": 3_218_465, "blob": digest("sealed")}),
        ("recording.stop", {**hold, "cause": "hold", "fragments": 3, "duration_ms": 3_000}),
        ("alert", alert),
        (
            "refused",
            {"cause": "card_full", "values": {"free_bytes": 12, "tried": None, "last": True}, "remedy": "dock"},
        ),
        ("shutdown", {"cause": "switch"}),
        (
            "checkpoint",
            {
                "prev_head": ...,
                "open": [
                    {
                        "rec": REC,
                        "press_ns": press["press_ns"],
                        "first_ns": str(T0_NS),
                        "segments": 1,
                        "fragments": 3,
                        "end_ns": str(T0_NS + 3_000_000_000),
                        "open": {
                            "seg": 0,
                            "n": 3,
                            "size": FIRST_OFFSET + 3 * 16 * SEALED,
                            "blob": digest("blob 2"),
                            "end_ns": str(T0_NS + 3_000_000_000),
                        },
                    }
                ],
                "ack": reference,
                "policy": policy,
                "slow_signer": True,
                "chain": chain,
                "dseq": [{"dock": "dock-01", "dseq": 8}, {"dock": "dock-02", "dseq": 0}],
                "assignment": 5,
                "last_utc": "2026-03-02T08:00:24.000Z",
                "token": digest("tokened"),
                "interrupted": REC,
                "low": 0,
            },
        ),
        ("boot", boot(clean=False, last=(24, digest("last signed")))),
        (
            "segment.recovered",
            {
                "rec": REC,
                "seg": 0,
                "size": FIRST_OFFSET + 3 * 16 * SEALED,
                "blob": digest("blob 2"),
                "last_n": 2,
                "last_end": FIRST_OFFSET + 3 * 16 * SEALED,
                "mismatch_n": None,
            },
        ),
        ("orphan", {"file": f"segments/{REC}/%2Enfs%C3%A9.tmp", "size": 0, "hash": sha256(b"")}),
        ("receipt", {"statement": statement("receipt")}),
        ("hold", {"statement": statement("hold")}),
        ("purge", {"rec": REC, "seg": 0, "receipt": reference}),
        ("expire", {"rec": REC, "seg": 0, "rule": "retention_180", "proof": reference}),
        ("trim", {"first": 0, "last": 6, "ack": reference}),
        ("update", {"from": "0.1.0", "to": "0.2.0", "image": digest("image")}),
        ("key.rotate", {"chain": chain, "key_class": "chip"}),
        ("reset", {"cause": "technician"}),
    ]


def boot(clean: bool, last: tuple[int, str]) -> dict[str, object]:
    """The first start names nothing; the second one all that a cut can leave."""
    torn = [
        {"file": "journal/00000000.log", "offset": 20_480, "length": 311, "hash": digest("torn by a failed write")},
        {"file": "journal/00000018.log", "offset": 4_096, "length": 12, "hash": digest("torn by the cut")},
    ]
    return {
        "software": "0.1.0",
        "image": digest("image"),
        "source": "footage bikes.mp4",
        "clean": clean,
        "last_signed": {"seq": last[0], "head": last[1]},
        "torn": [] if clean else torn,
        "leftover": None if clean else {"file": "journal/next.tmp", "length": 0, "hash": sha256(b"")},
        "weak": None if clean else {"first": 22, "last": 24},
        "counter": None,
    }


def head_of(seq: int, kind: str, prev: str, body: bytes) -> dict[str, object]:
    known = 3 < seq < SECOND_BOOT_FROM
    return {
        "body": sha256(body),
        "boot": FIRST_BOOT if seq < SECOND_BOOT_FROM else SECOND_BOOT,
        "dev": DEV,
        "jid": JID,
        "kind": kind,
        "prev": prev,
        "seq": seq,
        "time": {
            "err_ms": 40 + seq if known else None,
            "src": "beacon" if known else "none",
            "utc": f"2026-03-02T08:00:{seq:02d}.{seq:03d}Z" if known else None,
        },
        "mono_ns": str(START_NS + seq * 1_000_000_000 if seq < SECOND_BOOT_FROM else (seq - 24) * 1_000_000_000),
        "typ": "temoin/entry/1",
    }


def join(head: bytes, signature: bytes, body: bytes) -> bytes:
    return b"%s\t%s\t%s\n" % (head, signature, body)


@cache
def journal() -> list[tuple[bytes, bytes, bytes]]:
    """(head, signature, body) of each entry; the second fragment carries no signature of its own."""
    lines = []
    prev = ZEROS
    for seq, (kind, fields) in enumerate(story()):
        salted = {**fields, "salt": noise(f"salt {seq}", 16).hex()}
        if kind == "checkpoint":
            salted["prev_head"] = prev
        if kind == "boot" and seq == 1:
            salted["last_signed"] = {"seq": 0, "head": prev}
        body = canonical(salted)
        head = canonical(head_of(seq, kind, prev, body))
        unsigned = kind == "fragment" and fields["n"] == 1
        lines.append((head, b"-" if unsigned else base64_of(sign(CAMERA_KEY, head)).encode(), body))
        prev = sha256(head)
    return lines
