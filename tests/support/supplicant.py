"""A wpa_supplicant (2.10) on its real control socket, an access point before it and a rfkill device beneath: simulated.

What it says is what a real one has said over EAP-TLS, word for word, but for what names a machine. The rfkill device is
a FIFO that takes the kernel's events; a radio that is blocked has no interface.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
from enum import StrEnum
from pathlib import Path

INTERFACE = "wlan0"
LIMIT_S = 10
AUTHENTICATION = (
    "<3>CTRL-EVENT-EAP-STARTED EAP authentication started",
    "<3>CTRL-EVENT-EAP-STATUS status='started' parameter=''",
    "<3>CTRL-EVENT-EAP-PROPOSED-METHOD vendor=0 method=13",
    "<3>CTRL-EVENT-EAP-METHOD EAP vendor 0 method 13 (TLS) selected",
    "<3>CTRL-EVENT-EAP-PEER-CERT depth=1 subject='/O=V/OU=ca/CN=pm-ville' hash=74205b33",
    "<3>CTRL-EVENT-EAP-PEER-ALT depth=0 URI:urn:temoin:dock-tls:dock-01",
)
TEMP_DISABLED = '<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid="{ssid}" auth_failures=1 duration=10 reason={reason}'
UNKNOWN = (
    "",
    "<",
    "<3>",
    "OK\n",
    "FAIL\n",
    "<3>CTRL-EVENT-CONNECTEDX",
    " <3>CTRL-EVENT-CONNECTED - Connection",
    "CTRL-EVENT-CONNECTED - Connection",
    "<33>CTRL-EVENT-CONNECTED - Connection",
    "<3>CTRL-EVENT-BSS-ADDED 1 wpa_state=COMPLETED",
    "<3>x\nwpa_state=COMPLETED\n",
    "ssid=x wpa_state=COMPLETED\n",
    "wpa_state=completed\n",
    "wpa_state=COMPLETED x\n",
    "xwpa_state=COMPLETED\n",
    TEMP_DISABLED.format(ssid=" reason=WRONG_KEY", reason="CONN_FAILED"),
    "<3>CTRL-EVENT-SCAN-RESULTS " + "a" * 8_000,
    "\udcff",
)
"""What means nothing to a camera, though some of it looks as if."""


class Air(StrEnum):
    """What is in reach."""

    DOCK = "dock"
    NOTHING = "nothing"
    REFUSES = "refuses"
    STRANGER = "stranger"


class FakeSupplicant:
    """`air` is what it finds, from the next scan on. `said` is what it was told."""

    def __init__(self, folder: Path) -> None:
        self.control = folder / "control"
        self.rfkill = folder / "rfkill"
        self.control.mkdir()
        os.mkfifo(self.rfkill)
        self._events = os.open(self.rfkill, os.O_RDWR | os.O_NONBLOCK)
        self.air = Air.DOCK
        self.hung = False
        self.hard_blocked = False
        self.blocked = False
        self.power_save = True
        self.said: list[str] = []
        self._state = "INTERFACE_DISABLED"
        self._enabled = False
        self._monitors: list[str | bytes] = []
        self._lock = threading.Condition()
        self._ended = threading.Event()
        self._socket: socket.socket | None = None
        self.run()

    # The machine.

    def run(self) -> None:
        """wpa_supplicant is started."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(self.control / INTERFACE))
        self._socket = made
        self._ended.clear()
        self._monitors, self._enabled, self._state = [], False, "INTERFACE_DISABLED"
        self._interface()
        self._thread = threading.Thread(target=self._serve, args=(made,), daemon=True)
        self._thread.start()

    def die(self) -> None:
        """It is killed."""
        self._ended.set()
        self._thread.join(10)
        assert self._socket is not None
        self._socket.close()
        (self.control / INTERFACE).unlink()

    def close(self) -> None:
        if not self._ended.is_set():
            self.die()
        os.close(self._events)

    def lose(self) -> None:
        """The access point goes off, or the camera is taken away from it."""
        with self._lock:
            self.air = Air.NOTHING
            if self._state == "COMPLETED":
                self._state = "DISCONNECTED"
                self._tell("<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:00:00 reason=4 locally_generated=1")

    def switch(self, blocks: bool) -> None:
        """The switch of the machine that blocks its radios."""
        with self._lock:
            self.hard_blocked = blocks
            self._interface()

    def is_blocked(self) -> bool:
        """Once the last event of rfkill has been taken."""
        with self._lock:
            return self._lock.wait_for(lambda: self.blocked, LIMIT_S)

    def is_silent(self) -> bool:
        """Whether the radios are blocked, once what was written to rfkill has been taken."""
        with self._lock:
            self._lock.wait_for(lambda: not select.select([self._events], (), (), 0)[0], LIMIT_S)
            return self.blocked

    def was_told(self, command: str) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: command in self.said, LIMIT_S)

    def shout(self, said: str) -> None:
        """Say something to whoever listens."""
        with self._lock:
            self._tell(said)

    # What it does.

    def _serve(self, made: socket.socket) -> None:
        while not self._ended.is_set():
            ready, _, _ = select.select([made.fileno(), self._events], (), (), 0.02)
            if self._events in ready:
                with self._lock:
                    self._rfkill(os.read(self._events, 8))
            if made.fileno() in ready and not self.hung:
                command, sender = made.recvfrom(4_096)
                with self._lock:
                    self._answer(made, command.decode(), sender)
                    self._lock.notify_all()

    def _rfkill(self, event: bytes) -> None:
        index, kind, operation, soft, hard = struct.unpack("=IBBBB", event)
        assert (index, operation, hard) == (0, 3, 0), "CHANGE_ALL"
        assert kind in (0, 1), "all radios, or those of Wi-Fi"
        self.blocked = bool(soft)
        self._interface()
        self._lock.notify_all()

    def _interface(self) -> None:
        if self._without_interface():
            self._state = "INTERFACE_DISABLED"
        elif self._state == "INTERFACE_DISABLED":
            self._state = "DISCONNECTED"
            self._look()

    def _without_interface(self) -> bool:
        return self.blocked or self.hard_blocked

    def _answer(self, made: socket.socket, command: str, sender: str | bytes) -> None:
        self.said.append(command)
        answer, looks = "OK\n", False
        match command:
            case "ATTACH":
                self._monitors.append(sender)
            case "STATUS":
                answer = f"wpa_state={self._state}\naddress=02:00:00:00:01:00\nuuid=0459e5f0\n"
            case "ENABLE_NETWORK all":
                self._enabled = looks = True
            case "DISABLE_NETWORK all":
                self._enabled = False
                if self._state == "COMPLETED":
                    self._state = "DISCONNECTED"
                    self._tell("<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:00:00 reason=3 locally_generated=1")
            case "REASSOCIATE":
                looks = not self._without_interface()
                answer = "OK\n" if looks else "FAIL\n"
            case "SET ps 0":
                self.power_save = False
            case _:
                answer = "UNKNOWN COMMAND\n"
        with contextlib.suppress(OSError):  # it has gone meanwhile
            made.sendto(answer.encode(), sender)
        if looks:
            self._look()

    def _look(self) -> None:
        """A scan, and what comes of it."""
        if not self._enabled or self._state != "DISCONNECTED":
            return
        self._tell("<3>CTRL-EVENT-SCAN-STARTED ")
        match self.air:
            case Air.NOTHING:
                self._tell("<3>CTRL-EVENT-NETWORK-NOT-FOUND ")
            case Air.DOCK:
                self._tell(*AUTHENTICATION, "<3>CTRL-EVENT-EAP-SUCCESS EAP authentication completed successfully")
                self._state = "COMPLETED"
                self._tell("<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:00:00 completed [id=0 id_str=]")
            case Air.REFUSES:
                self._tell(*AUTHENTICATION)
                self._fail()
            case Air.STRANGER:
                self._tell(
                    *AUTHENTICATION[:-1],
                    "<3>CTRL-EVENT-EAP-TLS-CERT-ERROR reason=5 depth=0 subject='/CN=x' err='AltSubject mismatch'",
                )
                self._fail()

    def _fail(self) -> None:
        self._tell(
            "<3>CTRL-EVENT-EAP-FAILURE EAP authentication failed",
            "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:00:00 reason=23",
            TEMP_DISABLED.format(ssid="pm-ville", reason="AUTH_FAILED"),
        )

    def _tell(self, *events: str) -> None:
        assert self._socket is not None
        for monitor in list(self._monitors):
            try:
                for event in events:
                    self._socket.sendto(event.encode("utf-8", "surrogateescape"), socket.MSG_DONTWAIT, monitor)
            except BlockingIOError:
                continue  # it does not read: the event is lost, as with the real one
            except OSError:
                self._monitors.remove(monitor)
