"""A microphone by ALSA's own library, without a sound server and without another process.

Guarantees: what is read is 16-bit little-endian, one channel, at the rate asked for, in the order in which the card
took it, nothing missing in between: a buffer that overran is an OverrunError, and what follows was heard after it. No
call waits longer than it is told. A card that is absent, in use or gone is a CaptureError with its remedy.

Assumes libasound.so.2 of the system (docs/hardware.md says why not FFmpeg's input). Not for two threads at once.

Two channels are asked for, and the left one is kept: an I2S microphone answers on one of two, by its wiring the left,
and the other one is silent or floats; ALSA's own way to one channel is their mean, which halves the voice. Where a card
has one channel, ALSA puts it on both.
"""

from __future__ import annotations

import ctypes
import errno
from ctypes import POINTER, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p
from functools import cache

from agent.errors import CaptureError

PERIOD_MS = 20
BUFFER_MS = 1_000  # or as much of it as the card has: a longer stall loses sound

_LIBRARY = "libasound.so.2"
_CHANNELS = 2
_CAPTURE, _NONBLOCK = 1, 1
_READ_INTERLEAVED, _S16_LE = 3, 2
_SIZE, _DIRECTION = POINTER(c_ulong), POINTER(c_int)
_FUNCTIONS = {
    "snd_pcm_open": (POINTER(c_void_p), c_char_p, c_int, c_int),
    "snd_pcm_close": (c_void_p,),
    "snd_pcm_hw_params_malloc": (POINTER(c_void_p),),
    "snd_pcm_hw_params_free": (c_void_p,),
    "snd_pcm_hw_params_any": (c_void_p, c_void_p),
    "snd_pcm_hw_params_set_access": (c_void_p, c_void_p, c_int),
    "snd_pcm_hw_params_set_format": (c_void_p, c_void_p, c_int),
    "snd_pcm_hw_params_set_channels": (c_void_p, c_void_p, c_uint),
    "snd_pcm_hw_params_set_rate": (c_void_p, c_void_p, c_uint, c_int),
    "snd_pcm_hw_params_set_period_size_near": (c_void_p, c_void_p, _SIZE, _DIRECTION),
    "snd_pcm_hw_params_set_buffer_size_near": (c_void_p, c_void_p, _SIZE),
    "snd_pcm_hw_params": (c_void_p, c_void_p),
    "snd_pcm_prepare": (c_void_p,),
    "snd_pcm_start": (c_void_p,),
    "snd_pcm_wait": (c_void_p, c_int),
    "snd_pcm_readi": (c_void_p, c_void_p, c_ulong),
    "snd_strerror": (c_int,),
    "snd_lib_error_set_handler": (c_void_p,),
}
CONNECT = "connect the microphone, or correct microphone.device in the board file"
_REMEDIES = {
    errno.EBUSY: "end what else records from it",
    errno.EACCES: "put the capture service's user into the group audio",
    errno.EINVAL: "correct sound.sample_rate_hz in the board file to what the card offers",
}


_say_nothing = ctypes.CFUNCTYPE(None)(lambda: None)
"""Takes none of the handler's arguments, which the C calling conventions of x86-64 and arm64 allow."""


class OverrunError(CaptureError):
    """Samples were lost because nobody read them in time. The microphone goes on: read again."""


class AlsaInput:
    """An open microphone; it runs. `device` is ALSA's name of the card's own device, `hw:CARD=mic,DEV=0`."""

    def __init__(self, device: str, rate_hz: int) -> None:
        self._device = device
        self._library = _load()
        self._period = rate_hz * PERIOD_MS // 1000
        self._buffer = (ctypes.c_int16 * (self._period * _CHANNELS))()
        opened = c_void_p()
        self._check(
            self._library.snd_pcm_open(ctypes.byref(opened), f"plug{device}".encode(), _CAPTURE, _NONBLOCK), "opened"
        )
        self._pcm = opened
        try:
            self._set_up(rate_hz)
            self._check(self._library.snd_pcm_start(self._pcm), "started")
        except CaptureError:
            self.close()
            raise

    def read(self, timeout_ms: int) -> bytes:
        """Up to PERIOD_MS of samples, empty when none came within timeout_ms. Raises CaptureError, OverrunError."""
        ready = self._library.snd_pcm_wait(self._pcm, timeout_ms)
        frames = self._library.snd_pcm_readi(self._pcm, self._buffer, self._period) if ready >= 0 else ready
        if frames in (-errno.EPIPE, -errno.ESTRPIPE):
            self._check(self._library.snd_pcm_prepare(self._pcm), "started again")
            self._check(self._library.snd_pcm_start(self._pcm), "started again")
            raise OverrunError(self._device, "sound was lost: it was not read in time")
        if frames in (0, -errno.EAGAIN):
            return b""
        self._check(frames, "read")
        return memoryview(self._buffer).cast("B").cast("h")[: frames * _CHANNELS : _CHANNELS].tobytes()

    def close(self) -> None:
        """Give the card back. Once."""
        self._library.snd_pcm_close(self._pcm)

    def _set_up(self, rate_hz: int) -> None:
        library, pcm, params = self._library, self._pcm, c_void_p()
        self._check(library.snd_pcm_hw_params_malloc(ctypes.byref(params)), "set up")
        period, buffer = c_ulong(self._period), c_ulong(rate_hz * BUFFER_MS // 1000)
        try:
            for result in (
                library.snd_pcm_hw_params_any(pcm, params),
                library.snd_pcm_hw_params_set_access(pcm, params, _READ_INTERLEAVED),
                library.snd_pcm_hw_params_set_format(pcm, params, _S16_LE),
                library.snd_pcm_hw_params_set_channels(pcm, params, _CHANNELS),
                library.snd_pcm_hw_params_set_rate(pcm, params, rate_hz, 0),
                library.snd_pcm_hw_params_set_period_size_near(pcm, params, ctypes.byref(period), None),
                library.snd_pcm_hw_params_set_buffer_size_near(pcm, params, ctypes.byref(buffer)),
                library.snd_pcm_hw_params(pcm, params),
            ):
                self._check(result, f"set to {rate_hz} Hz")
        finally:
            library.snd_pcm_hw_params_free(params)

    def _check(self, result: int, done: str) -> None:
        if result < 0:
            reason = self._library.snd_strerror(result).decode(errors="replace")
            raise CaptureError(self._device, f"cannot be {done} ({reason})", _REMEDIES.get(-result, CONNECT))


@cache
def _load() -> ctypes.CDLL:
    """The system's library; it says nothing on standard error by itself. Raises CaptureError."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise CaptureError(_LIBRARY, "is not installed", "install Debian's package alsa-utils") from error
    for name, arguments in _FUNCTIONS.items():
        getattr(library, name).argtypes = arguments
    library.snd_pcm_readi.restype = c_long
    library.snd_strerror.restype = c_char_p
    library.snd_lib_error_set_handler(_say_nothing)
    return library
