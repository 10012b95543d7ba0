"""The last words of another process, from the file that takes its standard error. Not evidence."""

from __future__ import annotations

from pathlib import Path

from agent.terminal import printable

MAX_BYTES = 4096


class LogTail:
    """Reads what is added to `file` from now on, or from `from_bytes` on."""

    def __init__(self, file: Path, from_bytes: int | None = None) -> None:
        self._file = file
        self._from = _size(file) if from_bytes is None else from_bytes

    def last_line(self) -> str:
        """The last line that holds anything, printable; empty when there is none or the file cannot be read."""
        try:
            with self._file.open("rb") as opened:
                opened.seek(max(self._from, _size(self._file) - MAX_BYTES))
                data = opened.read(MAX_BYTES)
        except OSError:
            return ""
        lines = [line for line in data.decode(errors="replace").splitlines() if line.strip()]
        return printable(lines[-1].strip()) if lines else ""


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
