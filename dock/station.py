"""What the station does with what cameras send: rules between MQTT, the intake and the archive. No network, no clock.

How a process drives it, all from one thread:

    messages = station.on_status(parse_status(payload), now)        a message on .../status
    messages = station.on_batch(dev, parse_batch(...), now)         a message on .../journal; its PUBACK afterwards
    upload = station.open_upload(dev, rec, seg, size, now)          a PUT; `dev` is of the TLS certificate's role
    upload.write(...) and upload.finish()                           these may run in another thread
    messages = station.on_blob(upload.blob, outcome, now)           then the answer 200 or 201
    station.on_upload_failed(upload.blob, error, now)               after a BlobError: 400, ConflictError: 409
    messages = station.tick(now)                                    each second or so

and publishes each Message with QoS 1, in order. A message that is lost costs nothing: cameras ask again. Guarantees:
what an `ack` or a `receipt` says is durable before it is returned; a receipt is an entry of the dock's own journal
first; nothing is sent to a camera outside its session, nor to one that is refused; memory is bounded by the number of
cameras that are docked. The same calls give the same messages. Raises StoreError or SignatureError when the dock's own
journal or key is lost: then the process must end. DiskError of the archive is an alert, and nothing is acknowledged.
Source: docs/docking.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509

from agent.errors import DiskError
from agent.formats.entries import Entry
from agent.formats.statement import NOTHING_SEQ, Statement
from agent.formats.wire import Batch, Status, StatusState
from agent.model import NS_PER_S
from dock import lines
from dock.archive import Archive
from dock.blobs import Blob, BlobError, BlobStore, Outcome, Upload
from dock.catalogue import Catalogue
from dock.journal import DockJournal
from dock.lines import RefusedError, Tail
from dock.sessions import Session, Sessions
from dock.statements import Addressee, Author
from dock.trouble import Trouble, Troubles
from dock.voice import Message, Moment, Voice

__all__ = ["Message", "Moment", "Rules", "Station"]

MAX_TICKETS = 2
MAX_RECEIPTS = 32
"""Receipts that one call gives out to one camera."""
MAX_FAILURES = 3
"""Uploads of one blob that may fail in a session before it is left for the next one."""
RECEIPT_AGAIN_NS = 60 * NS_PER_S
_WAIT = "wait for its next docking"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the station is told. `intake_host` is `host` or `host:port` as in the policy; `policy_chain` DER.

    Below `reserve_bytes` free, nothing more is taken in: the dock's own journal needs the rest.
    """

    root: x509.Certificate
    intake_host: str
    store: str
    policy: Statement | None = None
    policy_chain: tuple[bytes, ...] = ()
    ticket_ttl_s: int = 600
    reserve_bytes: int = 256 * 1024 * 1024


class Station:
    """The rules of one dock. `counts` are for metrics: entries, batches, blobs, receipts, refused, alerts."""

    def __init__(
        self,
        rules: Rules,
        archive: Archive,
        blobs: BlobStore,
        catalogue: Catalogue,
        journal: DockJournal,
        author: Author,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._rules = rules
        self._archive = archive
        self._blobs = blobs
        self._catalogue = catalogue
        self._voice = Voice(author, journal)
        self._troubles = Troubles(journal, self.counts)
        self._sessions = Sessions()

    @property
    def docked(self) -> Sequence[str]:
        """The cameras in a session."""
        return self._sessions.docked

    @property
    def last_troubles(self) -> Mapping[str, Trouble]:
        """The last alert or refusal of each camera, and of `archive`, in this run."""
        return self._troubles.last

    # --- MQTT ---------------------------------------------------------------------------------------------------------

    def on_status(self, status: Status, now: Moment) -> list[Message]:
        """A camera's question, or its goodbye. The caller has compared `status.dev` with the topic's, which the broker
        ties to the camera's certificate.
        """
        if status.state is StatusState.GONE:
            known = self._sessions.get(status.dev)
            if known is not None and known.to.session == status.session:
                self._end(status.dev)
            return []
        if self._is_refused(status.dev, now):
            return []
        session = self._sessions.of(status)
        if session is None:
            return [] if self._sessions.is_over(status) else self._begin(status, now)
        if session.to.jid != status.jid:
            self._troubles.refuse(status.dev, "jid_changed", now.mono_ns, {"jid": status.jid})
            return []
        self._sessions.ask_again(session, status, now.mono_ns)
        return [self._voice.beacon(session.to, status, now), *self._advance(session, now)]

    def on_batch(self, dev: str, batch: Batch, now: Moment) -> list[Message]:
        """Lines of a camera's journal. Without a session nothing is taken: there is no nonce to answer with."""
        session = self._sessions.get(dev)
        if session is None or self._is_refused(dev, now):
            return []
        self.counts["batches"] += 1
        try:
            entries = lines.parse_batch(batch, dev)
            if entries[0].head.jid != session.to.jid:
                raise RefusedError("journal", f"is {entries[0].head.jid}, not that of this session", _WAIT)
            return self._take_batch(session, entries, now)
        except RefusedError as error:
            self._troubles.refuse(dev, "lines", now.mono_ns, {"where": error.where, "problem": error.problem})
        except DiskError as error:
            self._troubles.failed(dev, "archive", now.mono_ns, error)
        return []

    def tick(self, now: Moment) -> list[Message]:
        """What time brings: tickets that ran out, orders that are due, receipts that were not heard."""
        return [message for session in self._sessions.all() for message in self._advance(session, now)]

    # --- intake -------------------------------------------------------------------------------------------------------

    def open_upload(self, dev: str, rec: str, seg: int, size: int, now: Moment) -> Upload:
        """A PUT begins. `dev` is of the client's TLS role, `size` the length that it announces.

        Raises RefusedError (403), DiskError (507). A blob that is here already is only compared.
        """
        found = self._catalogue.segment(rec, seg)
        session = self._sessions.get(dev)
        ticket = None if session is None else session.tickets.get((rec, seg))
        if found is None or found.dev != dev or self._archive.is_forked(dev):
            raise self._not_allowed(dev, rec, seg, "is not this camera's to send", now)
        if not found.stored and (ticket is None or ticket <= now.mono_ns):
            raise self._not_allowed(dev, rec, seg, "has no ticket", now)
        if size != found.blob.size:
            raise self._not_allowed(dev, rec, seg, f"has {found.blob.size} bytes, not {size}", now)
        return self._blobs.begin(found.blob)

    def on_blob(self, blob: Blob, outcome: Outcome, now: Moment) -> list[Message]:
        """An upload that `finish` returned from: its receipt, and the next ticket."""
        self.counts["blobs"] += outcome is Outcome.STORED
        self._catalogue.mark_stored(blob.rec, blob.seg)
        found = self._catalogue.segment(blob.rec, blob.seg)
        session = None if found is None else self._sessions.get(found.dev)
        if session is None:
            return []
        session.tickets.pop((blob.rec, blob.seg), None)
        session.receipts.pop((blob.rec, blob.seg), None)  # sent again, it seems not to have been heard
        return self._advance(session, now)

    def on_upload_failed(self, blob: Blob, error: BlobError, now: Moment) -> None:
        """An upload that ended in a BlobError."""
        found = self._catalogue.segment(blob.rec, blob.seg)
        dev = "unknown" if found is None else found.dev
        session = self._sessions.get(dev)
        if session is not None:
            session.failures[blob.rec, blob.seg] += 1
        self._troubles.refuse(dev, "blob", now.mono_ns, {"rec": blob.rec, "seg": blob.seg, "problem": error.problem})

    def _not_allowed(self, dev: str, rec: str, seg: int, problem: str, now: Moment) -> RefusedError:
        self._troubles.refuse(dev, "upload", now.mono_ns, {"rec": rec, "seg": seg, "problem": problem})
        return RefusedError(f"{rec}/{seg:04d}", problem, "wait for a ticket")

    # --- sessions -----------------------------------------------------------------------------------------------------

    def _begin(self, status: Status, now: Moment) -> list[Message]:
        self._end(status.dev)
        # A camera is handed out from its dock: what was ordered before this docking was for the shift before it.
        self._catalogue.withdraw(status.dev, "assign")
        session = Session(Addressee(status.dev, status.jid, status.session), status.low)
        try:
            tail = self._archive.tail(status.dev, status.jid)
            if tail is not None:
                self._catalogue.catch_up(self._archive, tail)
            elif self._archive.knows(status.dev):
                self._troubles.alert(
                    status.dev, "another_journal", now.mono_ns, {"jid": status.jid}, "compare_with_enrolment"
                )
        except DiskError as error:
            self._troubles.failed(status.dev, "archive", now.mono_ns, error)
            return []
        self._sessions.begin(session, status, now.mono_ns)
        messages = [self._voice.beacon(session.to, status, now), self._voice.ack(session.to, tail, now)]
        policy = self._rules.policy
        if policy is not None and (tail is None or tail.policy != policy.digest.hex()):
            messages.append(self._voice.policy(session.to, policy, self._rules.policy_chain))
        return [*messages, *self._advance(session, now)]

    def _end(self, dev: str) -> None:
        if self._sessions.end(dev):
            self._archive.release(dev)

    def _is_refused(self, dev: str, now: Moment) -> bool:
        if not self._archive.is_forked(dev):
            return False
        self._end(dev)
        self._troubles.refuse(dev, "forked", now.mono_ns, {})
        return True

    # --- journal ------------------------------------------------------------------------------------------------------

    def _take_batch(self, session: Session, entries: list[Entry], now: Moment) -> list[Message]:
        """Archive what is new, and say where the archive ends."""
        dev, jid = session.to.dev, session.to.jid
        tail = self._archive.tail(dev, jid)
        rival = self._rival(entries, tail)
        if rival is not None and tail is not None:
            self._take_fork(session, rival, tail, now)
            return []
        end = NOTHING_SEQ if tail is None else tail.seq
        new = [entry for entry in entries if entry.head.seq > end]
        # Only where the camera's own journal begins: a batch that overtook the first may begin with a checkpoint too.
        begins = tail is None and new[0].head.seq == session.low
        if new and (begins or (tail is not None and new[0].head.seq == end + 1)):
            tail = self._archive_new(dev, jid, new, tail, now)
        # What has the lower number goes first: the camera refuses one that does not rise.
        if all(entry.head.kind == "ack" for entry in entries):
            return self._advance(session, now)  # an ack of acks would never come to an end
        return [self._voice.ack(session.to, tail, now), *self._advance(session, now)]

    def _archive_new(self, dev: str, jid: str, new: list[Entry], tail: Tail | None, now: Moment) -> Tail | None:
        if self._archive.disk.free_bytes() < self._rules.reserve_bytes:
            raise DiskError("archive", "has no space left but its reserve", "make space in the archive")
        taken, _ = lines.check(new, tail, self._rules.root)
        if not taken:
            return tail
        after = self._archive.append(dev, jid, taken)
        self.counts["entries"] += len(taken)
        self._catalogue.catch_up(self._archive, after, taken)
        self._tell_unreadable(dev, taken, now)
        return after

    def _tell_unreadable(self, dev: str, taken: Sequence[Entry], now: Moment) -> None:
        """Segments that the camera cannot read, or finds empty, get no ticket: somebody has to look at the card."""
        found = [entry.body for entry in taken if entry.head.kind == "segment.recovered" and entry.body is not None]
        lost = [body for body in found if body["blob"] is None or body["size"] == 0]
        if lost:
            values = {**{name: lost[0][name] for name in ("rec", "seg", "size")}, "segments": len(lost)}
            self._troubles.alert(dev, "segment_unreadable", now.mono_ns, values, "salvage_card")

    def _rival(self, entries: Sequence[Entry], tail: Tail | None) -> list[Entry] | None:
        """The entries from the first one on that contradicts the archive; None if none does."""
        if tail is None:
            return None
        first = entries[0].head.seq
        if first < tail.first:
            raise RefusedError(f"entry {first}", "is before the archive's first entry, so it cannot be compared", _WAIT)
        archived = self._archive.lines(tail.dev, tail.jid, first)
        for index, entry in enumerate(entries):
            if entry.head.seq > tail.seq:
                follows = entry.head.seq > tail.seq + 1 or entry.head.prev == tail.head
                return None if follows else list(entries[index:])
            _, line = next(archived)
            # The same head is the same entry, whatever signature or body came along.
            if line != entry.line and line.partition(b"\t")[0] != entry.head_bytes:
                return list(entries[index:])
        return None

    def _take_fork(self, session: Session, rival: list[Entry], tail: Tail, now: Moment) -> None:
        dev, seq = session.to.dev, rival[0].head.seq
        if not lines.is_signed_by(rival[0], tail):
            raise RefusedError(f"entry {seq}", "is another than the archive's, and not signed by the camera", _WAIT)
        if self._archive.keep_fork(dev, session.to.jid, rival):
            self._troubles.alert(dev, "fork", now.mono_ns, {"jid": session.to.jid, "seq": seq}, "decide_about_fork")
            self._end(dev)
        else:
            self._troubles.refuse(dev, "settled_fork", now.mono_ns, {"jid": session.to.jid, "seq": seq})

    # --- what is said -------------------------------------------------------------------------------------------------

    def _advance(self, session: Session, now: Moment) -> list[Message]:
        """Receipts, tickets and orders that this camera may have now."""
        try:
            # Tickets first: what has its file already, of a run that was killed, has its receipt at once then.
            return [*self._tickets(session, now), *self._receipts(session, now), *self._orders(session, now)]
        except DiskError as error:
            self._troubles.failed(session.to.dev, "archive", now.mono_ns, error)
            return []

    def _tickets(self, session: Session, now: Moment) -> list[Message]:
        """Up to MAX_TICKETS open, oldest blob first."""
        session.tickets = {key: until for key, until in session.tickets.items() if until > now.mono_ns}
        given_up = [key for key, count in session.failures.items() if count >= MAX_FAILURES]
        messages: list[Message] = []
        due = self._catalogue.due(session.to.dev, session.to.jid, MAX_TICKETS + len(given_up))
        for found in due:
            blob, key = found.blob, (found.blob.rec, found.blob.seg)
            if len(session.tickets) >= MAX_TICKETS or self._lacks_space(blob, now):
                break
            if key in session.tickets or key in given_up:
                continue
            if self._blobs.has(blob):
                self._confirm_file(session, blob, now)
                continue
            session.tickets[key] = now.mono_ns + self._rules.ticket_ttl_s * NS_PER_S
            ttl_s = self._rules.ticket_ttl_s
            messages.append(self._voice.ticket(session.to, blob, self._rules.intake_host, ttl_s, now))
        return messages

    def _confirm_file(self, session: Session, blob: Blob, now: Moment) -> None:
        """A file that this run has not seen coming: of a run that was killed before it could say so."""
        if self._blobs.confirm(blob):
            self._catalogue.mark_stored(blob.rec, blob.seg)
        else:
            session.failures[blob.rec, blob.seg] = MAX_FAILURES
            self._troubles.alert(session.to.dev, "blob_damaged", now.mono_ns, {"file": blob.path}, "restore_archive")

    def _lacks_space(self, blob: Blob, now: Moment) -> bool:
        if self._archive.disk.free_bytes() - blob.size >= self._rules.reserve_bytes:
            return False
        self._troubles.alert("archive", "archive_full", now.mono_ns, {}, "make_space")
        return True

    def _receipts(self, session: Session, now: Moment) -> list[Message]:
        """For each blob that is here and of whose receipt the camera's journal does not tell yet."""
        messages: list[Message] = []
        for found in self._catalogue.unreceipted(session.to.dev, session.to.jid):
            key = found.blob.rec, found.blob.seg
            if len(messages) >= MAX_RECEIPTS:
                break
            if key in session.receipts and now.mono_ns - session.receipts[key] < RECEIPT_AGAIN_NS:
                continue
            session.receipts[key] = now.mono_ns
            messages.append(self._voice.receipt(session.to, found, self._rules.store, now))
            self.counts["receipts"] += 1
        return messages

    def _orders(self, session: Session, now: Moment) -> list[Message]:
        """What the people at the dock said, once a session until the camera's journal tells of it."""
        messages: list[Message] = []
        for order in self._catalogue.orders(session.to.dev):
            if order.number not in session.orders:
                session.orders.add(order.number)
                messages.append(self._voice.order(session.to, order, now))
        return messages
