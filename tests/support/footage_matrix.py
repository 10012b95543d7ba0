"""The matrix of acceptance: three films of different size, rate and sound, once with each kind of recipient."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tests.support.footage import make_footage
from tests.support.shift import Worked, succeed, work

FILM_S = 30
KINDS = ("post-quantum", "classic")


@dataclass(frozen=True, slots=True)
class Film:
    """A film with its pictures' numbers burnt in. `content_width` is what bars at the board's sides leave of it."""

    name: str
    width: int
    height: int
    rate: int
    beeps: bool
    codec: str = "libx264"
    sound_after_frames: int = 0
    content_width: Fraction = Fraction(1)

    def make(self, folder: Path) -> Path:
        return make_footage(
            folder / self.name,
            frames=FILM_S * self.rate,
            width=self.width,
            height=self.height,
            frames_per_second=self.rate,
            beeps=self.beeps,
            codec=self.codec,
            sound_after_frames=self.sound_after_frames,
        )


FILMS = (
    Film("wide-30-sound.mp4", 640, 360, 30, beeps=True),
    Film("board-25-mute.mp4", 1280, 720, 25, beeps=False),
    Film("square-15-late-sound.mkv", 320, 240, 15, True, "mpeg4", 7, content_width=Fraction(3, 4)),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One shift of the matrix, with the bundle of its whole recording."""

    film: Film
    kind: str
    worked: Worked
    bundle: Path


def make_case(folder: Path, film: Film, path: Path, kind: str) -> Case:
    """Work the shift and export its whole recording."""
    folder.mkdir()
    worked = work(folder, path, kind)
    keys: list[str | Path] = ["--identity", worked.agency.identity, "--signer", worked.agency.reader]
    bundle = folder / "bundle"
    succeed("temoin", "export", worked.whole, "--data", worked.data, *keys, "--out", bundle)
    return Case(film, kind, worked, bundle)
