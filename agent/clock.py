"""What time it is, how good that is, and who said so: the `time`, `mono_ns` and `boot` of every entry.

Guarantees: UTC never without its error bound, and the bound covers every claim that has not been refuted: an
unexplained step of the real-time clock widens it, a step of more than 24 h makes the source `disputed` until a token
agrees. A real-time clock that its own error cannot bring up to the floor is not believed. The kernel's wall clock is
never read and never set.
Any thread may ask. Assumes: the caller has verified who signed a beacon or a token. Source: docs/time.md.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from agent.model import NS_PER_MS, Stamp, TimeSource
from agent.ports import Clock

STEP_MS = 24 * 3600 * 1000
DRIFT_PPM = 500  # a cheap crystal over the whole temperature range keeps 100; the rest is margin


@dataclass(frozen=True, slots=True)
class _Claim:
    """Somebody says that at `at_ns` of the boot clock it was `utc_ms`, give or take `err_ms`."""

    utc_ms: int
    err_ms: int
    at_ns: int
    source: TimeSource

    def at(self, now_ns: int) -> tuple[int, int]:
        """(utc_ms, err_ms) by this claim at another moment of the same boot, before or after."""
        apart_ns = now_ns - self.at_ns
        drift_ms = -(-abs(apart_ns) * DRIFT_PPM // (1_000_000 * NS_PER_MS))
        return self.utc_ms + apart_ns // NS_PER_MS, self.err_ms + drift_ms


class TimeKeeper:
    """`floor_ms` is the latest of the image's date and the last journalled UTC: it cannot be earlier than that."""

    def __init__(self, clock: Clock, floor_ms: int) -> None:
        self._clock = clock
        self._floor_ms = floor_ms
        self._lock = threading.Lock()
        self._claim: _Claim | None = None
        self._rival: _Claim | None = None  # what the claim contradicts by more than 24 h
        self._unexplained_ms = 0  # sum of the real-time clock's steps that neither error bound covers

    def stamp(self) -> Stamp:
        """The time now. `utc_ms` and `err_ms` are None when the source is NONE, and only then."""
        with self._lock:
            return self._stamp()

    def _stamp(self) -> Stamp:
        now_ns = self._clock.boot_ns()
        boot = self._clock.boot_id()
        if self._claim is None or self._claim.source is TimeSource.RTC:
            self._read_rtc(now_ns)
        if self._claim is None:
            return Stamp(None, None, TimeSource.NONE, now_ns, boot)
        utc_ms, err_ms = self._widened(self._claim).at(now_ns)
        if self._rival is None:
            return Stamp(utc_ms, err_ms, self._claim.source, now_ns, boot)
        rival_utc_ms, rival_err_ms = self._rival.at(now_ns)
        covers_both_ms = max(err_ms, abs(utc_ms - rival_utc_ms) + rival_err_ms)
        return Stamp(utc_ms, covers_both_ms, TimeSource.DISPUTED, now_ns, boot)

    @property
    def disputed(self) -> bool:
        """Two claims are more than 24 h apart and no token has decided between them: journal an alert."""
        return self._rival is not None

    def anchor(self, utc_ms: int, err_ms: int, at_ns: int) -> None:
        """A dock's verified beacon: at `at_ns` of the boot clock it was `utc_ms`, give or take `err_ms` (RTT / 2).

        A beacon that agrees with a better one replaces nothing. One that contradicts what was believed, or the floor,
        by more than 24 h is taken, and disputed.
        """
        with self._lock:
            self._anchor(_Claim(utc_ms, err_ms, at_ns, TimeSource.BEACON))

    def _anchor(self, beacon: _Claim) -> None:
        utc_ms, err_ms, at_ns = beacon.utc_ms, beacon.err_ms, beacon.at_ns
        before = self._claim
        if before is None:
            floor = _Claim(self._floor_ms, 0, at_ns, TimeSource.NONE)
            self._believe(beacon, floor if utc_ms < self._floor_ms - STEP_MS else None)
            return
        before_utc_ms, before_err_ms = before.at(at_ns)
        apart_ms = abs(utc_ms - before_utc_ms)
        better = before.source is TimeSource.BEACON and before_err_ms <= err_ms
        if better and apart_ms <= before_err_ms + err_ms:
            return
        self._believe(beacon, self._widened(before) if apart_ms > STEP_MS else None)

    def agree(self, utc_ms: int, at_ns: int) -> None:
        """A verified RFC 3161 token says `utc_ms` for the moment `at_ns`: it decides a dispute.

        Whichever claim lies within 24 h of it stays. When neither does, the dispute goes on.
        """
        with self._lock:
            if self._rival is None:
                return
            for claim in (self._claim, self._rival):
                if claim is not None and abs(claim.at(at_ns)[0] - utc_ms) <= STEP_MS:
                    self._claim = None if claim.source is TimeSource.NONE else claim
                    self._rival = None
                    return

    def _believe(self, claim: _Claim, rival: _Claim | None) -> None:
        """Believe the claim from now on. What was disputed stays so: only a token decides."""
        self._claim = claim
        self._rival = self._rival or rival

    def _widened(self, claim: _Claim) -> _Claim:
        """The claim with what the real-time clock has done without a reason."""
        if claim.source is not TimeSource.RTC:
            return claim
        return replace(claim, err_ms=claim.err_ms + self._unexplained_ms)

    def _read_rtc(self, now_ns: int) -> None:
        reading = self._clock.rtc()
        if reading is None or sum(reading) < self._floor_ms:
            return
        claim = _Claim(*reading, now_ns, TimeSource.RTC)
        if self._claim is None:
            self._believe(claim, None)
            return
        expected_ms, expected_err_ms = self._claim.at(now_ns)
        apart_ms = abs(claim.utc_ms - expected_ms)
        if apart_ms > STEP_MS:
            self._believe(claim, self._widened(self._claim))
            return
        if apart_ms > expected_err_ms + claim.err_ms:
            self._unexplained_ms += apart_ms
        self._believe(claim, None)
