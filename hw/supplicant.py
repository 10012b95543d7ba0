"""The words of wpa_supplicant's control interface: what is said to it, and what its answers and events mean.

Guarantees: pure; whatever it says, only what is known here changes anything. An event is known by how it begins, so
that the name of somebody's network within it is never taken for one. The first fault of an attempt stands: what
follows from it says less.
Source: wpa_supplicant's ctrl_iface documentation, and src/common/wpa_ctrl.h for the events; 2.10 and newer.
"""

from __future__ import annotations

import re

from agent.model import NS_PER_S, RadioChanged, RadioFault, RadioState

ATTACH = "ATTACH"
STATUS = "STATUS"
ENABLE = "ENABLE_NETWORK all"
DISABLE = "DISABLE_NETWORK all"
REASSOCIATE = "REASSOCIATE"
NO_POWER_SAVE = "SET ps 0"

PATIENCE_NS = 10 * NS_PER_S  # a scan of all channels takes up to 5 s, and the interface a second to come up

_EVENT = re.compile(r"<[0-9]>(.*)", re.DOTALL)
_STATE = re.compile(r"^wpa_state=([A-Z0-9_]+)$", re.MULTILINE)
_REASON = re.compile(r" reason=([A-Z_]+)\s*\Z")
_IDLE = frozenset({"DISCONNECTED", "INACTIVE"})  # nothing is under way: the next scan would come by itself, later


class Association:
    """One time of being on, since `on_ns`. Each method returns what is to be said to wpa_supplicant now."""

    def __init__(self, on_ns: int) -> None:
        self._on_ns = on_ns
        self._associated = False
        self._fault: RadioFault | None = None
        self._without_interface = False

    def state(self, now_ns: int) -> RadioChanged:
        """What the radio does, as far as wpa_supplicant has told."""
        patient = now_ns < self._on_ns + PATIENCE_NS
        if self._associated:
            return RadioChanged(RadioState.ASSOCIATED)
        if self._without_interface and not patient:
            return RadioChanged(RadioState.FAILED, RadioFault.NO_RADIO)
        if self._fault is None or (self._fault is RadioFault.NOT_FOUND and patient):
            return RadioChanged(RadioState.SEARCHING)
        return RadioChanged(RadioState.FAILED, self._fault)

    def heard(self, said: str) -> tuple[str, ...]:
        """A datagram: an event, or an answer."""
        event = _EVENT.fullmatch(said)
        if event is not None:
            return self._event(event[1])
        found = _STATE.search(said)
        return () if found is None else self._status(found[1])

    def _event(self, event: str) -> tuple[str, ...]:
        name, _, _ = event.partition(" ")
        match name:
            case "CTRL-EVENT-CONNECTED":
                return self._arrived()
            case "CTRL-EVENT-DISCONNECTED":
                self._associated = False
            case "CTRL-EVENT-NETWORK-NOT-FOUND":
                self._fault = self._fault or RadioFault.NOT_FOUND
            case "CTRL-EVENT-EAP-TLS-CERT-ERROR":
                self._fault = RadioFault.WRONG_DOCK
            case "CTRL-EVENT-EAP-FAILURE" | "CTRL-EVENT-AUTH-REJECT" | "CTRL-EVENT-ASSOC-REJECT":
                self._refused()
            case "CTRL-EVENT-SSID-TEMP-DISABLED":
                reason = _REASON.search(event)
                if reason is not None and reason[1] in ("WRONG_KEY", "AUTH_FAILED"):
                    self._refused()
        return ()

    def _refused(self) -> None:
        if self._fault is not RadioFault.WRONG_DOCK:
            self._fault = RadioFault.REFUSED

    def _status(self, state: str) -> tuple[str, ...]:
        self._without_interface = state == "INTERFACE_DISABLED"
        if state == "COMPLETED":
            return () if self._associated else self._arrived()
        self._associated = False
        return (REASSOCIATE,) if state in _IDLE else ()

    def _arrived(self) -> tuple[str, ...]:
        self._associated, self._fault = True, None
        return (NO_POWER_SAVE,)
