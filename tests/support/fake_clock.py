"""A clock that a test sets."""

from __future__ import annotations

from agent.model import NS_PER_MS, NS_PER_S

BOOT_ID = "5f0c2f5e-6a8b-4d0a-9d0e-0123456789ab"
UTC_MS = 1_780_000_000_000  # 2026-05-28


class FakeClock:
    """A Clock. `rtc_ms` runs with the boot clock from when it is set; None: no real-time clock is fitted."""

    def __init__(self, now_ns: int = 50 * NS_PER_S, rtc_ms: int | None = None, rtc_err_ms: int = 1_000) -> None:
        self.now_ns = now_ns
        self.boot = BOOT_ID
        self.rtc_err_ms = rtc_err_ms
        self._rtc_at_zero_ms: int | None = None
        self.set_rtc(rtc_ms)

    def advance(self, ms: int) -> None:
        self.now_ns += ms * NS_PER_MS

    def set_rtc(self, utc_ms: int | None) -> None:
        self._rtc_at_zero_ms = None if utc_ms is None else utc_ms - self.now_ns // NS_PER_MS

    def boot_ns(self) -> int:
        return self.now_ns

    def boot_id(self) -> str:
        return self.boot

    def rtc(self) -> tuple[int, int] | None:
        if self._rtc_at_zero_ms is None:
            return None
        return self._rtc_at_zero_ms + self.now_ns // NS_PER_MS, self.rtc_err_ms
