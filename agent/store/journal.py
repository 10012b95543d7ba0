"""The journal on the card: write orders, rotation, and what a start finds. docs/write-orders.md has the tables.

Guarantees: after `commit` returns, every entry appended before is durable, in order, chained and signed; a line is
signed once and its bytes never change, however often they are written; a file has its name only once its first lines
are durable; what is on the card is never changed or cut. Assumes one thread, and a folder that this process has locked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.errors import DiskError, StoreError
from agent.formats import fields
from agent.formats.canonical import Object
from agent.formats.entries import Entry, Position, make
from agent.model import Stamp
from agent.ports import Disk, File, Random, Signer
from agent.store.last import FOLDER, NEXT, LastFile, Torn, file_path
from agent.store.state import (
    JournalState,
    OpenRecording,
    Reference,
    apply,
    checkpoint_body,
    from_genesis,
    recording_id,
)

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_MESSAGE_CHARACTERS = 200

_SALT_BYTES = 16
_ENROL_AGAIN = "give the camera the certificate that this card was enrolled with, or an empty card"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a start found: `last` is None on an empty card, and then the run before counts as clean.

    `open`: recordings without stop. `same_boot`: only the agent was started again, not the kernel.
    """

    same_boot: bool
    clean: bool
    open: tuple[OpenRecording, ...]
    torn: tuple[Torn, ...]
    last: LastFile | None


@dataclass(frozen=True, slots=True)
class _Writing:
    """What a journal is written with."""

    disk: Disk
    signer: Signer
    stamp: Callable[[], Stamp]
    random: Random


class Journal:
    """Entries go in by `append` and become durable, all at once, by `commit`. `state` includes what is not durable.

    `durable` names the last durable entry, None before the first commit; any thread may read it.
    """

    def __init__(self, writing: _Writing, state: JournalState, pending: list[Entry], recovered: Recovered) -> None:
        """For `start`. `pending` are the first lines of the file that is to be opened."""
        self.recovered = recovered
        self.durable: Reference | None = None
        self._watch: Callable[[Sequence[Entry]], None] = _nobody
        self._low = state.low
        self._run_begins = pending[0].head.seq
        self._writing = writing
        self._state = state
        self._pending = pending
        self._file: File | None = None
        self._path = ""
        self._size_bytes = 0
        self._closed = False

    @classmethod
    def start(
        cls,
        disk: Disk,
        found: LastFile | None,
        signer: Signer,
        stamp: Callable[[], Stamp],
        random: Random,
        *,
        dev: str,
        software: str,
        model: str,
        source: str,
        image: str | None = None,
        enrolment: str | None = None,
    ) -> Journal:
        """Go on with the journal of `disk`, or begin a new one on an empty card. `found` is what `read_last` read.

        The first `commit` opens a file for this run: checkpoint (or genesis), boot, and what was appended since, which
        `check.recover` uses to make all it found durable at once, or not at all.
        Raises StoreError, with nothing written, for a journal that is damaged or another camera's; DiskError.
        """
        disk.make_folder(FOLDER)
        disk.sync_folder("")
        writing = _Writing(disk, signer, stamp, random)
        if found is None:
            journal = cls._genesis(writing, dev, software, model, enrolment)
        else:
            # An agent that was killed may have left lines that only this computer's memory has: they are built upon.
            disk.sync_file(file_path(found.first_seq))
            disk.sync_folder(FOLDER)
            journal = cls._again(writing, found, dev)
        before = journal.state if found is None else found.state
        journal.append(
            "boot",
            {
                "software": software,
                "image": image,
                "source": source,
                "clean": journal.recovered.clean,
                "last_signed": before.last_signed.body,
                "torn": [torn.body for torn in journal.recovered.torn],
                "leftover": _leftover(disk),
                "weak": _weak(before),
                "counter": None,
            },
        )
        return journal

    @classmethod
    def _genesis(cls, writing: _Writing, dev: str, software: str, model: str, enrolment: str | None) -> Journal:
        signer = writing.signer
        body: Object = {
            "chain": [fields.encode_base64(der) for der in signer.chain],
            "key_class": signer.key_class,
            "slow_signer": False,
            "model": model,
            "software": software,
            "enrolment": enrolment,
        }
        jid = writing.random(_SALT_BYTES).hex()
        entry = _signed(writing, Position(dev, jid, 0, fields.ZERO_HASH), "genesis", body)
        recovered = Recovered(same_boot=False, clean=True, open=(), torn=(), last=None)
        return cls(writing, from_genesis(entry), [entry], recovered)

    @classmethod
    def _again(cls, writing: _Writing, found: LastFile, dev: str) -> Journal:
        state = found.state
        path = file_path(found.first_seq)
        if state.position.dev != dev:
            raise StoreError(path, f"is the journal of camera {state.position.dev}, not of {dev}", _ENROL_AGAIN)
        if state.chain[0] != fields.encode_base64(writing.signer.chain[0]):
            raise StoreError(path, "was signed under another certificate than this camera's", _ENROL_AGAIN)
        entry = _signed(writing, state.position, "checkpoint", checkpoint_body(state))
        recovered = Recovered(
            same_boot=entry.head.stamp.boot == state.boot,
            clean=state.clean,
            open=state.open,
            torn=found.torn,
            last=found,
        )
        return cls(writing, apply(state, entry), [entry], recovered)

    @property
    def state(self) -> JournalState:
        """What the journal says, with the entries that wait for `commit`."""
        return self._state

    @property
    def next_seq(self) -> int:
        """The number of the next entry."""
        return self._state.position.seq

    @property
    def run_begins(self) -> int:
        """The number of this run's first entry."""
        return self._run_begins

    @property
    def head(self) -> str:
        """Hex SHA-256 of the newest entry's head, durable or not."""
        return self._state.position.prev

    def watch(self, durable: Callable[[Sequence[Entry]], None]) -> None:
        """Call `durable` with the entries that each commit has made durable, in their order, each once."""
        self._watch = durable

    def raise_low(self, seq: int) -> None:
        """Nothing that lies in files before entry `seq`, which begins one, matters to a start any more: the next
        checkpoint says so. It never falls."""
        assert seq < self.next_seq
        self._low = max(self._low, seq)

    @property
    def low_has_risen(self) -> bool:
        """No checkpoint says so yet."""
        return self._low > self._state.low

    def next_recording_id(self) -> str:
        """The id of a recording whose `recording.start` is the next entry."""
        return recording_id(self._state.position)

    def append(self, kind: str, body: Object) -> Entry:
        """Sign an entry and put it in line for `commit`; nothing is durable yet. `body` is without salt.

        Raises StoreError once the journal is closed; SignatureError when the key is lost, and FormatError for a body or
        an order of entries that the format does not have: then nothing was appended.
        """
        if self._closed:
            raise _closed()
        entry = _signed(self._writing, self._state.position, kind, body)
        self._state = apply(self._state, entry)
        self._pending.append(entry)
        return entry

    def append_card_failure(self, cause: str, file: str, error: DiskError) -> None:
        """An `alert` entry: the card did not do what it was told to do with this file."""
        values: Object = {
            "file": file[:MAX_MESSAGE_CHARACTERS],
            "problem": error.problem[:MAX_MESSAGE_CHARACTERS],
        }
        self.append("alert", {"cause": cause, "values": values, "remedy": "replace_card"})

    def commit(self) -> None:
        """Make every appended entry durable. One fsync; three more when the file is full or failed.

        Raises StoreError when a new file failed as well: then nothing appended since the last commit is durable for
        sure, and the journal takes no more entries. The first commit of all raises DiskError, and can be tried again.
        """
        if not self._pending:
            return
        if self._closed:
            raise _closed()
        if self._file is None:
            self._open_file()
        else:
            self._write(self._file)
        if self._size_bytes >= MAX_FILE_BYTES:
            self.rotate()

    def close(self) -> None:
        """Release the file. What was not committed is not durable."""
        self._closed = True
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, file: File) -> None:
        data = b"".join(entry.line for entry in self._pending)
        try:
            file.write(data)
            file.sync()
        except DiskError as error:
            self._replace_file(error)
            return
        self._size_bytes += len(data)
        self._settled()

    def rotate(self) -> None:
        """Go on in a new file, which begins with a checkpoint. Only when nothing waits for `commit`; raises as that."""
        assert not self._pending
        assert self._file is not None
        self._append_checkpoint()
        try:
            self._open_file()
        except DiskError as error:
            self._replace_file(error)

    def _replace_file(self, error: DiskError) -> None:
        """After a failed write nobody knows what the file holds: the same signed lines go into a new one, once."""
        if self._pending[0].head.kind != "checkpoint":  # a start reads one file, which has to tell the state
            self._append_checkpoint()
        self.append_card_failure("journal_write_failed", self._path, error)
        try:
            self._open_file()
        except DiskError as second:
            self.close()
            raise StoreError(second.where, f"{second.problem}, twice", second.remedy) from None

    def _open_file(self) -> None:
        """A new file that begins with the pending lines. Its name comes last: a named file has a whole first line."""
        disk = self._writing.disk
        data = b"".join(entry.line for entry in self._pending)
        path = file_path(self._pending[0].head.seq)
        if disk.exists(NEXT):  # never named, so nothing in it was ever told; `boot` has named a leftover
            disk.unlink(NEXT)
        file = disk.create(NEXT)
        try:
            file.write(data)
            file.sync()
            disk.rename(NEXT, path)
            disk.sync_folder(FOLDER)
        except DiskError:
            file.close()
            raise
        if self._file is not None:
            self._file.close()
        self._file, self._path, self._size_bytes = file, path, len(data)
        self._settled()

    def _append_checkpoint(self) -> None:
        self.append("checkpoint", {**checkpoint_body(self._state), "low": self._low})

    def _settled(self) -> None:
        """What was pending is durable."""
        entries, self._pending = self._pending, []
        self.durable = Reference(entries[-1].head.seq, entries[-1].digest.hex())
        self._watch(entries)


def _nobody(entries: Sequence[Entry]) -> None:
    """Who watches when nobody asked to."""


def _closed() -> StoreError:
    return StoreError(FOLDER, "takes no more entries: it was closed, or a write failed", "start the camera again")


def _signed(writing: _Writing, position: Position, kind: str, body: Object) -> Entry:
    entry = make(position, kind, body, writing.random(_SALT_BYTES), writing.stamp())
    return entry.with_signature(writing.signer.sign(entry.digest))


def _weak(state: JournalState) -> Object | None:
    """The trailing entries that no signature follows."""
    first, last = state.last_signed.seq + 1, state.position.seq - 1
    return {"first": first, "last": last} if first <= last else None


def _leftover(disk: Disk) -> Object | None:
    """What `boot` says of a file that never got its name."""
    if not disk.exists(NEXT):
        return None
    data = disk.read(NEXT)
    return {"file": NEXT, "length": len(data), "hash": hashlib.sha256(data).hexdigest()}
