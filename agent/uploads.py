"""Tickets of the dock, and the uploads that follow from them.

Guarantees: nothing is sent but a finished segment of this camera, whole, to a host of the policy, as its own journal
describes it (size and hash). One is under way at a time, until it is answered: whenever the camera is taken off the
dock, one segment at most has been sent in part, or in vain. A failed one is tried again while its ticket lasts. Assumes
that who gives a ticket has verified it. Source: docs/docking.md, 6.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.formats import fields
from agent.formats.canonical import Object
from agent.model import NS_PER_S, Upload, Uploaded, UploadFailed
from agent.ports import Uploader
from agent.session import NotTaken
from agent.store.custody import Custody, Holding

MAX_WAITING = 8
HTTPS_PORT = 443
ACCEPTED = frozenset({200, 201, 204})
CONFLICT = 409  # the intake has other bytes under this name: trying again changes nothing
OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te"})
"""What decides where a message goes and where it ends is said by the uploader, never by a ticket."""
FIRST_PAUSE_NS, LONGEST_PAUSE_NS = NS_PER_S, 30 * NS_PER_S

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


@dataclass(slots=True)
class _Open:
    rec: str
    seg: int
    blob: str
    size: int
    url: str
    headers: tuple[tuple[str, str], ...]
    until_ns: int
    tries: int = 0
    not_before_ns: int = 0
    number: int | None = None


class Uploads:
    """What was asked for and is not done."""

    def __init__(self, custody: Custody, uploader: Uploader, hosts: Sequence[str]) -> None:
        self._custody = custody
        self._uploader = uploader
        self._hosts = frozenset(host if ":" in host else f"{host}:{HTTPS_PORT}" for host in hosts)
        self._open: list[_Open] = []
        self._numbers = 0

    def ticket(self, value: Object, now_ns: int) -> NotTaken | None:
        """A verified ticket; why it is refused, or None. One for a segment that is under way replaces nothing."""
        rec, seg = fields.text_of(value, "rec"), fields.integer_of(value, "seg")
        url = fields.text_of(value, "url")
        if not self._is_ours(url):
            return NotTaken("ticket_host", f"{url[:100]} is not of the policy's intake hosts")
        headers = tuple((fields.text_of(each, "name"), fields.text_of(each, "value")) for each in _headers(value))
        for name, said in headers:
            if not _HEADER_NAME.fullmatch(name) or name.lower() in OWN_HEADERS or not _HEADER_VALUE.fullmatch(said):
                return NotTaken("ticket_header", f"{name[:100]} may not be asked for")
        if any((each.rec, each.seg) == (rec, seg) for each in self._open) or len(self._open) >= MAX_WAITING:
            return None
        blob, size = fields.text_of(value, "blob"), fields.integer_of(value, "size")
        until_ns = now_ns + fields.integer_of(value, "ttl_s") * NS_PER_S
        self._open.append(_Open(rec, seg, blob, size, url, headers, until_ns))
        return None

    def ended(self, event: Uploaded | UploadFailed, now_ns: int) -> NotTaken | None:
        """An upload is over; what is worth an entry, or None."""
        found = next((each for each in self._open if each.number == event.number), None)
        if found is None:
            return None
        found.number = None
        status = event.status if isinstance(event, Uploaded) else None
        if status in ACCEPTED or status == CONFLICT:
            self._open.remove(found)
        if status == CONFLICT:
            return NotTaken("upload_conflict", f"segment {found.seg} of {found.rec}: the intake has other bytes")
        found.not_before_ns = now_ns + min(FIRST_PAUSE_NS << min(found.tries, 8), LONGEST_PAUSE_NS)
        found.tries += 1
        return None

    def step(self, now_ns: int) -> NotTaken | None:
        """Start what may start; why a ticket is refused, or None. While the older journal is being read all wait."""
        self._open = [each for each in self._open if each.number is not None or now_ns < each.until_ns]
        if not self._custody.ready:
            return None
        for each in [each for each in self._open if each.number is None and now_ns >= each.not_before_ns]:
            if any(other.number is not None for other in self._open):
                self._uploader.expect(each.url)
                break
            held = self._custody.get(each.rec, each.seg)
            if held is None or (held.blob, held.size) != (each.blob, each.size):
                self._open.remove(each)
                return NotTaken("ticket_segment", f"segment {each.seg} of {each.rec} is not what the journal says")
            if held.receipt is not None:
                self._open.remove(each)
            else:
                self._start(each, held)
        return None

    def stop(self) -> None:
        """Undocked: give up what is under way."""
        self._open.clear()
        self._uploader.stop()

    def _start(self, each: _Open, held: Holding) -> None:
        self._numbers += 1
        each.number = self._numbers
        self._uploader.start(Upload(each.number, held.path, held.size, each.url, each.headers))

    def _is_ours(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            port = parts.port or HTTPS_PORT
        except ValueError:
            return False
        plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
        whole = parts.netloc in (parts.hostname, f"{parts.hostname}:{port}") and not parts.fragment
        return plain and whole and parts.scheme == "https" and f"{parts.hostname}:{port}" in self._hosts


def _headers(value: Object) -> list[Object]:
    return [each for each in fields.list_of(value, "headers") if isinstance(each, dict)]
