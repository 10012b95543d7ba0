"""Protocols of the outside: card, clocks, key, panel, camera, and dock. The rules know nothing else of the world.

Each port has at least two implementations and one conformance suite (tests/conformance) that all of them pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agent.model import Arrived, Battery, BoardEvent, Cue, Greeting, Light, Message, Upload

Random = Callable[[int], bytes]
"""`random(n)`: n bytes from a cryptographic source."""

AcceptPeer = Callable[[bytes], None]
"""Called with a TLS peer's certificate (DER) after the handshake, which has checked its chain but no dates and no host
name, and before anything is sent. Raises CertificateError for a peer that is no dock of the policy: then hang up. Any
thread may call it."""


class File(Protocol):
    """A file being appended to. After any DiskError it is lost to its writer: close it and open a new one."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of `data` (no short writes). Not durable before `sync`. Raises DiskError."""
        ...

    def sync(self) -> None:
        """Make the content durable (fdatasync or better). The name needs `Disk.sync_folder`. Raises DiskError."""
        ...

    def close(self) -> None:
        """Release the descriptor. Never raises; promises nothing about durability."""
        ...


class Disk(Protocol):
    """The data folder of one camera. Paths are relative, with `/`; no path leaves the folder.

    Nothing is durable before `File.sync` (content) and `sync_folder` (names: create, rename, unlink, make_folder).
    """

    def make_folder(self, path: str) -> None:
        """Make the folder; an existing one is fine. Parents must exist."""
        ...

    def create(self, path: str) -> File:
        """A new file for appending; an existing one is a DiskError (O_EXCL)."""
        ...

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes from `offset`, at most `length`, to the end of the file if None."""
        ...

    def size(self, path: str) -> int: ...

    def exists(self, path: str) -> bool: ...

    def names(self, path: str) -> list[str]:
        """Sorted names in a folder; folders and files alike. A missing folder is a DiskError."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Atomic; an existing `new` is a DiskError: nothing here ever replaces a file."""
        ...

    def unlink(self, path: str) -> None: ...

    def sync_file(self, path: str) -> None:
        """Make the content of an existing file durable, whoever wrote it: an earlier process may not have."""
        ...

    def sync_folder(self, path: str) -> None:
        """Make the names in the folder durable."""
        ...

    def free_bytes(self) -> int:
        """What an ordinary user can still write."""
        ...

    def lock(self) -> None:
        """Take the folder for this process until it ends; StoreError if another holds it."""
        ...


class Clock(Protocol):
    """The boot clock and what else the board knows of time. The agent never sets a clock."""

    def boot_ns(self) -> int:
        """CLOCK_BOOTTIME."""
        ...

    def boot_id(self) -> str:
        """The kernel's boot id (a UUID); another one after each boot."""
        ...

    def rtc(self) -> tuple[int, int] | None:
        """(utc_ms, err_ms) of a fitted real-time clock, None where there is none or it lost its battery."""
        ...


class Signer(Protocol):
    """The camera's signing key: a file, or a chip."""

    @property
    def key_class(self) -> str:
        """`file`, `chip` or `chip+counter`."""
        ...

    @property
    def chain(self) -> tuple[bytes, ...]:
        """DER certificates, the key's own first, without the agency's root."""
        ...

    def sign(self, digest: bytes) -> bytes:
        """Strict DER ECDSA P-256, low S, over a 32-byte SHA-256 digest. Raises SignatureError if the key is lost."""
        ...


class Panel(Protocol):
    """Light, buzzer and vibration. Calls return at once; an output that fails is an alert, never an exception."""

    def show(self, light: Light, dark_after_ns: int | None) -> None:
        """Hold the light. With `dark_after_ns` it goes dark by itself unless shown again within that time, also when
        this process is stopped, killed or hung."""
        ...

    def play(self, cue: Cue) -> None:
        """One momentary signal."""
        ...


class Camera(Protocol):
    """The capture process and the sensor's power line: rungs one to three of the restart ladder."""

    def start(self) -> None:
        """Start the capture process (it connects to the agent's socket by itself)."""
        ...

    def alive(self) -> bool: ...

    def kill(self) -> None:
        """End it at once, whatever it does; safe when it is gone."""
        ...

    def power_cycle(self) -> None:
        """Take the sensor's power away and give it back."""
        ...

    def reboot(self) -> None:
        """Ask for a controlled reboot of the board."""
        ...

    def last_words(self) -> str:
        """What the capture process said last, one printable line; empty when it has said nothing."""
        ...


class Power(Protocol):
    """Battery and contact of the board."""

    def battery(self) -> Battery: ...


class Radio(Protocol):
    """The way to the network of a dock, on while the camera is in one. An implementation is made with
    `post: Callable[[RadioChanged], None]`, and posts from a thread of its own; it begins by being off."""

    def on(self) -> None:
        """Get onto the dock's network, and try again for as long as it takes. Returns at once."""
        ...

    def off(self) -> None:
        """Leave it; nothing is sent any more once OFF is posted. Returns at once."""
        ...


class Devices(Protocol):
    """All that a board has. One is made with `post`, which its threads may call at any time, before `open` too."""

    @property
    def clock(self) -> Clock: ...

    @property
    def panel(self) -> Panel: ...

    @property
    def camera(self) -> Camera: ...

    @property
    def power(self) -> Power: ...

    @property
    def radio(self) -> Radio: ...

    @property
    def pressed(self) -> bool:
        """The button's level at start: not a press."""
        ...

    def open(self) -> None:
        """What officer, dock and charger do is posted from now on."""
        ...

    def check(self) -> None:
        """Raise what ended a thread of the board's, if something did: a defect, which takes the agent down."""
        ...

    def power_off(self) -> None:
        """Ask for the board's power to be switched off. Returns at once."""
        ...

    def close(self) -> None:
        """No more of it. Outputs stay as they are."""
        ...


Post = Callable[[BoardEvent], None]
"""Returns at once and never raises; any thread may call it."""

MakeDevices = Callable[[Post], Devices]


class Broker(Protocol):
    """One connection at a time to a dock's broker: MQTT 5, TLS 1.3, clean start, session expiry 0.

    An implementation is made with `AcceptPeer` and `post: Callable[[NetworkEvent], None]`. It posts Connected,
    Disconnected, Arrived, Published, PublishRefused, from a thread of its own. It never connects again by itself, keeps
    no message over a connection, and respects the broker's Receive Maximum. No call here waits for the network.
    """

    def connect(self, connection: int, greeting: Greeting) -> None:
        """Try once: post Connected when broker and subscription have answered, else Disconnected, within 20 s.
        `connection` rises with each call and comes back in every event. The one before is over."""
        ...

    def publish(self, message: Message) -> None:
        """Send. Without a connection nothing happens: its Disconnected has been posted, or will be."""
        ...

    def acknowledge(self, arrived: Arrived) -> None:
        """What the message says is dealt with: PUBACK now. Without it the message may come again."""
        ...

    def close(self, last: Message | None) -> None:
        """End in order: send `last`, give its PUBACK a second at most, disconnect. Posts Disconnected unless it is
        off-line already."""
        ...


class Uploader(Protocol):
    """Sends blobs over HTTPS (TLS 1.3, certificates on both sides). One is under way at a time (docs/docking.md).

    An implementation is made with `Disk`, `AcceptPeer` and `post`. It never follows a redirect, never tries again.
    """

    def start(self, upload: Upload) -> None:
        """Begin, when none is under way; post Uploaded or UploadFailed once. Returns at once.

        Memory does not grow with the file.
        """
        ...

    def expect(self, url: str) -> None:
        """An upload to this URL follows the one that is under way: its connection may be opened ahead, no more."""
        ...

    def stop(self) -> None:
        """Give up what is under way, with UploadFailed. Returns at once."""
        ...


class Supervision(Protocol):
    """Whoever started this process as a service, if anybody did, and ends it when it hangs. No call waits or raises."""

    @property
    def watchdog_ns(self) -> int | None:
        """How long it may be silent (`alive`) before it is ended and started again; None: nobody watches."""
        ...

    def ready(self) -> None:
        """The start is over: what can be known at the start has held."""
        ...

    def status(self, text: str) -> None:
        """What it is doing, for whoever asks the service manager."""
        ...

    def alive(self) -> None:
        """The main loop has turned."""
        ...

    def stopping(self) -> None:
        """It ends, in order."""
        ...
