"""Bugs that break a guarantee, each with the tests that must find it: one small change a row, as people make them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which `file` holds exactly once, becomes `new`; `tests` are the suites that keep the guarantee."""

    guarantee: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_SIM = (
    "tests/sim/test_press.py",
    "tests/sim/test_capture_fails.py",
    "tests/sim/test_card_fails.py",
    "tests/sim/test_ends.py",
)
_RECORDING = "agent/recording.py"
_CAMERA = "hw/capture/camera.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "the light is red only once the first second is durable",
        "agent/supervisor.py",
        "            self._orders.post(orders.Start(press_ns",
        "            self._recording.on_commit(press_ns, now_ns)\n"
        "            self._event(Event.DURABLE, now_ns)\n"
        "            self._orders.post(orders.Start(press_ns",
        _SIM,
    ),
    Mutant(
        "an entry is durable only after the bytes that it names",
        _RECORDING,
        "        segment.sync(first=opening)\n",
        "",
        (*_SIM, "tests/crash"),
    ),
    Mutant(
        "a new segment's name is durable before its entry",
        "agent/store/segments.py",
        "            self._disk.sync_folder(self._folder)\n",
        "",
        ("tests/unit/test_store_segments.py", "tests/crash", *_SIM),
    ),
    Mutant(
        "a journal file's name is durable before anything in it is told",
        "agent/store/journal.py",
        "            disk.rename(NEXT, path)\n            disk.sync_folder(FOLDER)\n",
        "            disk.rename(NEXT, path)\n",
        ("tests/unit/test_store_journal.py", "tests/crash"),
    ),
    Mutant(
        "the ring is wiped when the agent ends",
        "agent/ring.py",
        "            self._arena[at:until] = _ZEROS[: until - at]\n",
        "            pass\n",
        ("tests/unit/test_ring.py",),
    ),
    Mutant(
        "a hold counts from a new press, never from the one that started",
        "agent/button.py",
        '        assert self._pressed, "claim a press before stepping on"\n        self._claimed = True\n',
        "        pass\n",
        ("tests/unit/test_button.py", *_SIM),
    ),
    Mutant(
        "what a late reader holds is never overwritten",
        "agent/ring.py",
        "            if any(slot.holds for slot in in_the_way):\n                return None\n",
        "",
        ("tests/unit/test_ring.py",),
    ),
    Mutant(
        "a checkpoint names the recording and segment that are open",
        "agent/store/checkpoint.py",
        '        "open": [_recording_body(each) for each in state.open],\n',
        '        "open": [],\n',
        ("tests/unit/test_store_state.py", "tests/unit/test_store_journal.py", "tests/crash"),
    ),
    Mutant(
        "a full queue never blocks the loop that posts",
        "agent/mailbox.py",
        "                self._refused += 1\n                return False\n",
        "                self._lock.release()\n"
        "                threading.Event().wait(2)\n"
        "                self._lock.acquire()\n",
        ("tests/unit/test_loops.py",),
    ),
    Mutant(
        "a hole in the footage is a gap entry",
        _RECORDING,
        "            self._append_gap(held.info)\n",
        "",
        _SIM,
    ),
    Mutant(
        "the last fragment is the one that holds the moment of the hold",
        _RECORDING,
        "end_ns is not None and end_ns > self._until_ns\n",
        "end_ns is not None\n",
        _SIM,
    ),
    Mutant(
        "after another boot a recording is not resumed",
        "agent/store/check.py",
        "        if not found.same_boot:\n            _append_interrupted(journal, recording)\n",
        "",
        ("tests/unit/test_store_check.py", *_SIM),
    ),
    Mutant(
        "a torn last line is never parsed",
        "agent/store/last.py",
        '    return [line + b"\\n" for line in lines], torn\n',
        '    return [line + b"\\n" for line in (*lines, *([rest] if rest else []))], torn\n',
        ("tests/unit/test_store_journal.py", "tests/crash"),
    ),
    Mutant(
        "a chunk's nonce is never used twice",
        "agent/formats/age.py",
        "            self._next_index += 1\n",
        "            self._next_index += 0\n",
        ("tests/unit/test_age.py",),
    ),
    Mutant(
        "verify compares every fragment's hash with its file",
        "agent/evidence/blobs.py",
        '            self._add(Verdict.INVALID, "blob-whole", segment, "is not the file that was sealed")\n',
        "            pass\n",
        ("tests/unit/test_verify_forgeries.py",),
    ),
    Mutant(
        "one upload is under way at a time, so that undocking costs one at most",
        "agent/uploads.py",
        "            if any(other.number is not None for other in self._open):\n",
        "            if each.number is not None:\n",
        ("tests/sim/test_docking_uploads.py",),
    ),
    Mutant(
        "a receipt is one entry, however often it is said",
        "agent/receipts.py",
        "return _segment_of(heard) in self._at_writer or ",
        "return ",
        ("tests/sim/test_docking_uploads.py",),
    ),
    Mutant(
        "a session that another one has followed never comes back",
        "dock/sessions.py",
        "return current if current.to.session == status.session else None",
        "pass",
        ("tests/unit/test_station.py",),
    ),
    Mutant(
        "what a camera may have lost with its connection is said again at once",
        "dock/sessions.py",
        "            session.receipts.clear()\n",
        "",
        ("tests/unit/test_station.py",),
    ),
    Mutant(
        "a place that comes late is no entry of the next recording",
        "agent/recorder.py",
        "if recording.started and recording.rec == order.rec:",
        "if recording.started:",
        ("tests/sim/test_places.py",),
    ),
    Mutant(
        "a position that is old is none",
        "agent/placing.py",
        "now_ns - newest.boot_ns <= MAX_AGE_NS",
        "newest.boot_ns > 0",
        ("tests/unit/test_placing.py",),
    ),
    Mutant(
        "the length of what is sealed does not tell whether it is a position",
        "agent/formats/place.py",
        ".ljust(PLAIN_BYTES)",
        "",
        ("tests/unit/test_placing.py",),
    ),
    Mutant(
        "what is no number is no position",
        "hw/place.py",
        "abs(latitude) <= 90 and",
        "not abs(latitude) > 90 and",
        ("tests/unit/test_gpsd.py",),
    ),
    Mutant(
        "the radio is said to be off only once it is blocked",
        "hw/radio.py",
        "self._blocked = self._block(True)",
        "self._blocked = True",
        ("tests/conformance/test_radio.py",),
    ),
    Mutant(
        "the name of somebody's network is taken for no event",
        "hw/supplicant.py",
        'r"^wpa_state=([A-Z0-9_]+)$"',
        'r"wpa_state=([A-Z0-9_]+)"',
        ("tests/unit/test_supplicant.py",),
    ),
    Mutant(
        "an access point that does not take the camera's certificate, or shows none of a dock, is not joined",
        "firmware/radio.py",
        """        '    ca_cert="agency.pem"\\n'\n""",
        "",
        ("tests/unit/test_agency.py",),
    ),
    Mutant(
        "a camera's picture of a time to come is refused",
        _CAMERA,
        "if not isinstance(packet, Ended) and packet.boot_ns > now_ns:",
        "if False:",
        ("tests/unit/test_camera.py",),
    ),
    Mutant(
        "a camera's clock that is not the boot clock is refused",
        _CAMERA,
        "packet.boot_ns < now_ns - MAX_AGE_NS",
        "False",
        ("tests/unit/test_camera.py",),
    ),
    Mutant(
        "a camera that falls silent is told",
        _CAMERA,
        "if silent * WATCH_NS >= MAX_SILENCE_NS:",
        "if silent * WATCH_NS >= 10 * MAX_SILENCE_NS:",
        ("tests/unit/test_camera.py",),
    ),
    Mutant(
        "a camera posts nothing once it was stopped",
        _CAMERA,
        "        with self._gate:\n            self._post = None\n        self._over.set()\n",
        "        self._over.set()\n",
        ("tests/conformance/test_source.py",),
    ),
    Mutant(
        "why a camera ended is said before it is closed, which may hang",
        _CAMERA,
        "            self._end(error)  # said first: what follows may never return\n",
        "            raise\n",
        ("tests/unit/test_camera.py",),
    ),
    Mutant(
        "a webcam is not taken for the board's sensor",
        "hw/capture/picamera.py",
        'if model.split("_")[0] == sensor:',
        "if model:",
        ("tests/unit/test_camera.py",),
    ),
)
