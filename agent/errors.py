"""Every error that Témoin raises on purpose, under one base.

An error names where (file, field or entry), what is wrong there, and what to do. A command prints it as one line and
exits with a code that is not 0; nothing else is caught wholesale anywhere.
"""

from __future__ import annotations

from typing import Self


class TemoinError(Exception):
    """Base of all of them. `str()` is one line: `where: problem; remedy`."""

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        super().__init__(where, problem, remedy)
        self.where = where
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        said = f"{self.where}: {self.problem}" if self.where else self.problem
        line = f"{said}; {self.remedy}" if self.remedy else said
        return line.replace("\n", " ")

    def at(self, outer: str) -> Self:
        """The same error seen from further out: a parser names the field, its caller puts the file before it."""
        where = f"{outer}: {self.where}" if self.where else outer
        return type(self)(where, self.problem, self.remedy)


class FormatError(TemoinError):
    """Bytes that are not what the format says: where is the field or the offset."""


class ConfigError(TemoinError):
    """A configuration, board or policy file that cannot be used."""


class CertificateError(TemoinError):
    """A certificate or chain that does not carry the role it is used for."""


class SignatureError(TemoinError):
    """A signature that does not verify, or is not strict DER with a low S."""


class KeyFileError(TemoinError):
    """A private key or identity file that is missing, unreadable or of the wrong kind."""


class DiskError(TemoinError):
    """The card refused: full, read-only, gone, or an fsync failed. The file concerned is lost to its writer."""


class StoreError(TemoinError):
    """The data folder is not usable: locked by another agent, or a journal that recovery may not touch."""


class PipeError(TemoinError):
    """The capture process broke the protocol of its socket."""


class CaptureError(TemoinError):
    """Footage, encoder or microphone could not be used."""


class BoardError(TemoinError):
    """A part of the board that is missing, or does not answer."""


class ExportError(TemoinError):
    """A clip that cannot be made from what is there."""
