"""A card that can be searched: an ext4 file system in a file, and a search for plaintext in its raw bytes."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WORD_BYTES = 8
WINDOW_BYTES = 32
DISTINCT_VALUES = 16
_HASH_BITS = 27
_MULTIPLIER = np.uint64(0x9E37_79B9_7F4A_7C15)
_PIECE_BYTES = 32 * 1024 * 1024
_LEAST_DISTINCT = 3
_LOOP_SET_STATUS64, _LOOP_GET_STATUS64 = 0x4C04, 0x4C05  # linux/loop.h, struct loop_info64
_LOOP_STATUS_BYTES, _LOOP_SIZE_LIMIT = 232, 32
_LEAST_DEVICE_BYTES = 4096


class NoLoopError(RuntimeError):
    """This computer gives us no loop device."""


class Image:
    """`path` is the file, `mounted` the folder; it must not be there yet."""

    def __init__(self, path: Path, mib: int) -> None:
        self.path = path
        self.mounted = path.with_suffix(".mnt")
        self.mounted.mkdir()
        with path.open("xb") as file:
            file.truncate(mib * 1024 * 1024)
        run("mkfs.ext4", "-q", "-F", "-m", "0", str(path))  # nothing kept for root: we are root

    def mount(self) -> None:
        """Raises NoLoopError with what mount says."""
        run("mount", "-o", "loop", str(self.path), str(self.mounted))

    def abort(self) -> None:
        """What ext4 does by itself when its own structures fail: read-only from now on, also for open files."""
        run("mount", "-o", "remount,abort", str(self.mounted))

    def pull(self) -> None:
        """The card is gone: its device has a size of nearly nothing, and every access fails. Its bytes stay."""
        device = os.open(self.device, os.O_RDWR | os.O_CLOEXEC)
        try:
            status = bytearray(_LOOP_STATUS_BYTES)
            fcntl.ioctl(device, _LOOP_GET_STATUS64, status)
            struct.pack_into("<Q", status, _LOOP_SIZE_LIMIT, _LEAST_DEVICE_BYTES)
            fcntl.ioctl(device, _LOOP_SET_STATUS64, bytes(status))
        finally:
            os.close(device)

    @property
    def device(self) -> str:
        """The loop device, when mounted."""
        return run("findmnt", "-n", "-o", "SOURCE", str(self.mounted)).strip()

    def unmount(self) -> None:
        """All that it took is on the image after it. Nothing when it is not mounted."""
        if self.mounted.is_mount():
            run("umount", str(self.mounted))

    def check(self) -> None:
        """What a technician does to a card that failed: e2fsck, which replays its log."""
        done = subprocess.run(["e2fsck", "-fy", str(self.path)], check=False, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise NoLoopError(f"e2fsck: {done.stdout}")


def run(*command: str) -> str:
    """Standard output. Raises NoLoopError with what the command says."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise NoLoopError(f"{command[0]} is not installed (packages e2fsprogs, mount and util-linux)") from None
    if done.returncode != 0:
        raise NoLoopError(f"{command[0]}: {done.stderr.strip()} (loop devices need root and a kernel that has them)")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Hit:
    """A window of plaintext at this byte of the image."""

    offset: int
    window: bytes


class Searcher:
    """Finds every window of WINDOW_BYTES bytes, with at least DISTINCT_VALUES values, of any of the texts.

    Complete, not sampled. Of any window of 32 bytes, three words of 8 bytes begin at a multiple of 8 in its text, and
    if the window has 16 values one of the three has at least 3. All such words are looked up at every byte of the
    image, first in a table of hashes; around each word that is found, image and text are compared byte by byte.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._text = b"".join(text + bytes(WINDOW_BYTES) for text in texts)
        usable = len(self._text) // WORD_BYTES * WORD_BYTES
        words = np.frombuffer(self._text[:usable], "<u8")
        places = np.flatnonzero(_distinct(words) >= _LEAST_DISTINCT)
        order = np.argsort(words[places], kind="stable")
        self._places = places[order]
        self._words = words[self._places]
        self._table = np.zeros(1 << _HASH_BITS, np.bool_)
        self._table[_hash(self._words)] = True
        self.words = len(self._words)

    def search(self, image: Path) -> Iterator[Hit]:
        """All hits; of overlapping ones the first."""
        with image.open("rb") as file:
            data = np.memmap(file, np.uint8, "r")
            end = -1
            for hit in sorted(self._candidates(data), key=lambda found: found.offset):
                if hit.offset >= end:
                    yield hit
                    end = hit.offset + len(hit.window)

    def _candidates(self, data: NDArray[np.uint8]) -> Iterator[Hit]:
        for start in range(0, len(data), _PIECE_BYTES):
            piece = np.asarray(data[start : start + _PIECE_BYTES + WORD_BYTES])
            if not piece.any():
                continue
            for shift in range(WORD_BYTES):
                usable = (len(piece) - shift) // WORD_BYTES * WORD_BYTES
                words = piece[shift : shift + usable].view("<u8")
                for index in self._known(words):
                    yield from self._confirm(data, start + shift + int(index) * WORD_BYTES, words[index])

    def _known(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Where a word of the texts stands."""
        likely = np.flatnonzero(self._table[_hash(words)])
        places = np.minimum(np.searchsorted(self._words, words[likely]), len(self._words) - 1)
        found: NDArray[np.int64] = likely[self._words[places] == words[likely]]
        return found

    def _confirm(self, data: NDArray[np.uint8], offset: int, word: np.uint64) -> Iterator[Hit]:
        first = int(np.searchsorted(self._words, word))
        while first < len(self._words) and self._words[first] == word:
            hit = self._around(data, offset, int(self._places[first]) * WORD_BYTES)
            if hit is not None:
                yield hit
                return
            first += 1

    def _around(self, data: NDArray[np.uint8], offset: int, place: int) -> Hit | None:
        """The longest common run around a word, if it holds a window; at most 32 bytes to each side."""
        before = after = 0
        while before < WINDOW_BYTES and min(offset, place) > before:
            if data[offset - before - 1] != self._text[place - before - 1]:
                break
            before += 1
        while after < WINDOW_BYTES and max(offset - len(data), place - len(self._text)) + after < 0:
            if data[offset + after] != self._text[place + after]:
                break
            after += 1
        run = self._text[place - before : place + after]
        for start in range(len(run) - WINDOW_BYTES + 1):
            window = run[start : start + WINDOW_BYTES]
            if len(set(window)) >= DISTINCT_VALUES:
                return Hit(offset - before + start, window)
        return None


def _hash(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    found: NDArray[np.uint64] = (words * _MULTIPLIER) >> np.uint64(64 - _HASH_BITS)
    return found


def _distinct(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many different bytes each word has."""
    parts = np.sort(words.view(np.uint8).reshape(-1, WORD_BYTES), axis=1)
    found: NDArray[np.int64] = 1 + np.count_nonzero(np.diff(parts, axis=1), axis=1)
    return found
