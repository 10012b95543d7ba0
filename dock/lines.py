"""Checks a camera's lines before the archive takes them: chain, signature, certificate. Pure.

Guarantees: what `check` passes was signed by a key of the role `camera:<dev>` or `sim:<dev>` under the agency's root,
in one unbroken chain from the tail on, and ends with a signed entry, so that nothing of it rests on a line that nobody
vouches for. Bodies are those of their kinds (agent/formats). What entries mean together is the verifier's to judge: a
signed line is evidence, however odd, and is kept. Memory is bounded by the batch. Source: docs/formats.md and
docs/docking.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography import x509

from agent import keys
from agent.errors import CertificateError, FormatError, SignatureError, TemoinError
from agent.formats import fields
from agent.formats.canonical import Object
from agent.formats.entries import Entry, parse_line
from agent.formats.wire import Batch

CAMERA_KINDS = ("camera", "sim")
_REMEDY = "keep the camera apart and run temoin verify on its card"
_FIRST_KINDS = ("genesis", "checkpoint")
_TURNING_KINDS = frozenset({*_FIRST_KINDS, "key.rotate", "policy"})
"""Kinds whose entries change a tail by more than where it ends."""


class RefusedError(TemoinError):
    """Lines that are not this camera's, or do not belong where they claim to."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Where a journal ends, and what its next line is checked with.

    `first`: the oldest entry that the archive has. `head`: hex SHA-256 of the head of entry `seq`. `chain`: the
    camera's certificates in DER. `policy`: hash of the policy in force, None if the journal names none.
    """

    dev: str
    jid: str
    first: int
    seq: int
    head: str
    chain: tuple[bytes, ...]
    slow_signer: bool
    policy: str | None


def parse_batch(batch: Batch, dev: str) -> list[Entry]:
    """The entries of a batch of camera `dev`, each following the one before it. Raises RefusedError."""
    found: list[Entry] = []
    number, prev = batch.first, batch.prev
    for line in _split(batch.payload):
        try:
            entry = parse_line(line)
        except FormatError as error:
            raise RefusedError(f"entry {number}", f"{error.where}: {error.problem}", _REMEDY) from None
        head = entry.head
        if head.seq != number or head.prev != prev:
            raise RefusedError(f"entry {number}", "does not follow, or is not the one that was named", _REMEDY)
        if head.dev != dev or (found and head.jid != found[0].head.jid):
            raise RefusedError(f"entry {number}", f"is of camera {head.dev}, journal {head.jid}", _REMEDY)
        if entry.body is None:
            raise RefusedError(f"entry {number}", "its body is withheld, which a camera's journal never does", _REMEDY)
        found.append(entry)
        number, prev = number + 1, entry.digest.hex()
    return found


def _split(payload: bytes) -> list[bytes]:
    """Whole lines; not `splitlines`, which knows other ends than the newline."""
    return [line + b"\n" for line in payload[:-1].split(b"\n")]


def check(entries: Sequence[Entry], tail: Tail | None, root: x509.Certificate) -> tuple[list[Entry], Tail | None]:
    """The entries that may be archived after `tail`, and the tail after them. Raises RefusedError, taking none.

    `entries` follow each other, and the tail if there is one. Without one the first must hold certificates: genesis, or
    the checkpoint that a trimmed journal begins with.
    """
    taken = list(entries)
    while taken and taken[-1].signature is None:
        taken.pop()
    verifier: keys.Verifier | None = None if tail is None else _verifier(tail.chain)
    known = tail  # what entries are checked with; where it ends is told at the end
    for entry in taken:
        try:
            if known is None or verifier is None:
                _check_chain(entry, entry.head.dev, root)
                verifier = _verifier(_chain_of(entry))
            _check_entry(entry, known, verifier)
            if entry.head.kind == "key.rotate":
                _check_chain(entry, entry.head.dev, root)
                verifier = _verifier(_chain_of(entry))
        except (CertificateError, SignatureError) as error:
            raise RefusedError(f"entry {entry.head.seq}", f"{error.where}: {error.problem}", _REMEDY) from None
        if known is None or entry.head.kind in _TURNING_KINDS:
            known = follow(known, entry)
    return taken, follow(known, taken[-1]) if taken else tail


def is_signed_by(entry: Entry, tail: Tail) -> bool:
    """Whether the camera of that tail signed this entry."""
    if entry.signature is None:
        return False
    try:
        _verifier(tail.chain).check(entry.digest, entry.signature, "entry")
    except SignatureError:
        return False
    return True


def follow(tail: Tail | None, entry: Entry) -> Tail:
    """The tail after an entry that was checked, or that the archive holds. Raises RefusedError where none can begin."""
    head, body = entry.head, entry.body
    if tail is None:
        if head.kind not in _FIRST_KINDS or body is None:
            raise RefusedError(f"entry {head.seq}", f"a journal does not begin with {head.kind}", _REMEDY)
        tail = Tail(head.dev, head.jid, head.seq, head.seq, "", _chain_of(entry), body["slow_signer"] is True, None)
    tail = replace(tail, seq=head.seq, head=entry.digest.hex())
    if body is None:
        return tail
    if head.kind == "key.rotate":
        return replace(tail, chain=_chain_of(entry))
    if head.kind == "policy":
        return replace(tail, policy=fields.text_of(body, "hash"))
    if head.kind == "checkpoint":
        known = body["policy"] is not None
        return replace(tail, policy=fields.text_of(fields.object_of(body, "policy"), "hash") if known else None)
    return tail


def follow_all(tail: Tail | None, entries: Sequence[Entry]) -> Tail:
    """The tail after one or more entries: what `follow` says one by one, at the cost of the last one."""
    for entry in entries[:-1]:
        if tail is None or entry.head.kind in _TURNING_KINDS:
            tail = follow(tail, entry)
    return follow(tail, entries[-1])


def _check_entry(entry: Entry, tail: Tail | None, verifier: keys.Verifier) -> None:
    seq = entry.head.seq
    if entry.signature is not None:
        verifier.check(entry.digest, entry.signature, "signature")
    elif tail is None or not tail.slow_signer:
        raise RefusedError(f"entry {seq}", "is not signed, and the camera declares no slow signer", _REMEDY)
    if tail is not None and entry.head.kind == "checkpoint" and _chain_of(entry) != tail.chain:
        raise RefusedError(f"entry {seq}", "names other certificates than the journal before it", _REMEDY)


def _check_chain(entry: Entry, dev: str, root: x509.Certificate) -> None:
    if entry.head.kind not in (*_FIRST_KINDS, "key.rotate"):
        raise RefusedError(f"entry {entry.head.seq}", f"a journal does not begin with {entry.head.kind}", _REMEDY)
    chain = [keys.parse_certificate(der, "certificate") for der in _chain_of(entry)]
    role = keys.check_chain(chain, root, CAMERA_KINDS, "certificate", entry.head.stamp.utc_ms)
    if role.id != dev:
        raise CertificateError("certificate: role", f"is {role.urn}, the journal is of {dev}")


def _verifier(chain: Sequence[bytes]) -> keys.Verifier:
    return keys.Verifier(keys.parse_certificate(chain[0], "certificate"))


def _chain_of(entry: Entry) -> tuple[bytes, ...]:
    body: Object = entry.body or {}
    return tuple(fields.decode_base64(each, "chain") for each in fields.list_of(body, "chain"))
