"""The Wi-Fi radio: all radios are blocked (rfkill) but while the camera is in a dock; then wpa_supplicant associates.

Guarantees: no call waits; a state is posted once, when it is another one. OFF is posted after the radios were blocked.
A wpa_supplicant that is not there, restarts or hangs is FAILED, and tried again; nothing of what it says is trusted
further than hw/supplicant.py does. No secret passes through here: wpa_supplicant reads its own files.
Assumes: `turn` is called again and again by one thread, `on`, `off` and `end` by any; wpa_supplicant runs for the
interface, with a control interface that this user may write to, as the file of `temoin-fleet init` says.
Source: the kernel's Documentation/driver-api/rfkill.rst and include/uapi/linux/rfkill.h.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from agent.model import NS_PER_S, RadioChanged, RadioFault, RadioState
from agent.ports import Clock
from hw.supplicant import ATTACH, DISABLE, ENABLE, STATUS, Association

RFKILL = Path("/dev/rfkill")
CONTROL = Path("/run/wpa_supplicant")
TICK_S = 1.0
SILENT_NS = 5 * NS_PER_S  # of a wpa_supplicant that was asked each second

_OFF, _FAILED = RadioChanged(RadioState.OFF), RadioState.FAILED
_CHANGE_ALL, _ALL_RADIOS, _WLAN = 3, 0, 1
_DATAGRAM_BYTES = 16 * 1024


class Cable:
    """A Radio for a dock with a wire: the network is there when the contact is."""

    def __init__(self, post: Callable[[RadioChanged], None]) -> None:
        self._post = post
        self._on = False

    def on(self) -> None:
        self._turn(True)

    def off(self) -> None:
        self._turn(False)

    def _turn(self, on: bool) -> None:
        if on != self._on:
            self._on = on
            self._post(RadioChanged(RadioState.ASSOCIATED) if on else _OFF)


class WifiRadio:
    """A Radio. `interface` is the board's; `control` the folder with wpa_supplicant's socket of that name."""

    def __init__(
        self,
        interface: str,
        clock: Clock,
        post: Callable[[RadioChanged], None],
        control: Path = CONTROL,
        rfkill: Path = RFKILL,
        tick_s: float = TICK_S,
    ) -> None:
        self._path = str(control / interface)
        self._clock = clock
        self._post = post
        self._rfkill = rfkill
        self._tick_s = tick_s
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_writer.setblocking(False)
        self._wanted = False
        self._ending = False
        self._posted = _OFF
        self._blocked = False  # whoever ran before may have left them on
        self._association: Association | None = None
        self._line: socket.socket | None = None
        self._answered = False
        self._heard_ns = 0
        self._quiet = False

    def on(self) -> None:
        self._want(True)

    def off(self) -> None:
        self._want(False)

    def end(self) -> None:
        """Off, and `turn` returns False; call `close` after that."""
        self._ending = True
        self._want(False)

    def close(self) -> None:
        """For the thread of `turn`, or whoever has seen it end."""
        self._wake_reader.close()
        self._wake_writer.close()

    def turn(self) -> bool:
        """Do what is wanted, then wait for the next thing, a tick at most. False once it is to end."""
        ending = self._ending
        if self._wanted and not ending:
            self._step()
        elif self._association is not None or not self._blocked:
            self._leave()
        if not ending:
            self._wait()
        return not ending

    def _want(self, on: bool) -> None:
        self._wanted = on
        with contextlib.suppress(OSError):  # it is awake already, or over
            self._wake_writer.send(b"!")

    # What is done while it is on.

    def _step(self) -> None:
        now_ns = self._clock.boot_ns()
        if self._association is None:
            self._blocked = False
            if not self._block(False):
                self._tell(RadioChanged(_FAILED, RadioFault.NO_RADIO))
                return
            self._association = Association(now_ns)
        if self._line is None:
            self._connect(now_ns)
        if self._line is not None:
            self._listen(self._line, self._association, now_ns)
        if self._line is None or now_ns - self._heard_ns > SILENT_NS:
            self._hang_up()
            self._association = Association(now_ns)
            self._tell(RadioChanged(_FAILED, RadioFault.NO_SUPPLICANT))
        elif self._answered:
            self._tell(self._association.state(now_ns))

    def _connect(self, now_ns: int) -> None:
        """Under a name without a file: wpa_supplicant answers to it all the same, and nothing is left of it."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            line.bind("")
            line.connect(self._path)
        except OSError:
            line.close()
            return
        line.setblocking(False)
        self._line, self._heard_ns, self._answered = line, now_ns, False
        self._say(ATTACH)
        self._say(ENABLE)
        self._say(STATUS)

    def _listen(self, line: socket.socket, association: Association, now_ns: int) -> None:
        """One of the things that it has said, and what follows from that; a question when it was quiet for a tick."""
        try:
            said = line.recv(_DATAGRAM_BYTES)
        except BlockingIOError:
            if self._quiet:
                self._say(STATUS)
            return
        except OSError:
            self._hang_up()
            return
        self._heard_ns, self._answered = now_ns, True
        for command in association.heard(said.decode("ascii", "replace")):
            self._say(command)

    def _say(self, command: str) -> None:
        if self._line is None:
            return
        try:
            self._line.send(command.encode())
        except BlockingIOError:
            return  # it hangs: its silence will tell
        except OSError:
            self._hang_up()

    # Off.

    def _leave(self) -> None:
        self._say(DISABLE)  # takes leave of the access point too
        self._hang_up()
        self._association = None
        self._blocked = self._block(True)
        self._tell(_OFF if self._blocked else RadioChanged(_FAILED, RadioFault.NO_RADIO))

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _block(self, on: bool) -> bool:
        """Block all radios, Bluetooth too; or let Wi-Fi be on."""
        event = struct.pack("=IBBBB", 0, _ALL_RADIOS if on else _WLAN, _CHANGE_ALL, on, 0)
        try:
            with self._rfkill.open("wb", buffering=0) as file:
                return file.write(event) == len(event)
        except OSError:
            return False

    # Waiting, telling.

    def _wait(self) -> None:
        sources = [self._wake_reader] if self._line is None else [self._wake_reader, self._line]
        ready, _, _ = select.select(sources, (), (), self._tick_s)
        self._quiet = not ready
        if self._wake_reader in ready:
            self._wake_reader.recv(4096)

    def _tell(self, changed: RadioChanged) -> None:
        if changed != self._posted:
            self._posted = changed
            self._post(changed)
