"""Encoded pictures and raw sound to one init and a fragment for each GOP.

Guarantees: the pictures' bytes are not encoded again; a fragment begins with a keyframe, is complete when the next
keyframe comes, and its header says when its first picture was exposed, how long it covers and whether anything heard is
in it. Times in the file count from the first picture; sound lies where the boot clock says, whatever the
microphone's own clock does (hw/capture/sound_track.py).

Assumes the packets that hw/capture/source.py describes. FFmpeg's muxer holds a keyframe back until it has sound of the
same time, so sound that falls behind by more than SOUND_LAG_NS is replaced by silence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.stream import Stream

from agent.config import Sound, Video
from agent.errors import CaptureError, FormatError
from agent.formats import mp4
from agent.formats.pipe import MAX_FRAGMENT_NS, MAX_PAYLOAD_BYTES, FragmentHeader
from hw.capture.sound_track import BLOCK_SAMPLES, SoundTrack
from hw.capture.source import SECOND_NS, Picture, SoundBlock

VIDEO_TIMESCALE = 90_000
SOUND_BIT_RATE_BPS = 64_000
SOUND_LAG_NS = 250_000_000
MAX_PICTURE_GAP_NS = 5_000_000_000
_AGAIN = "start the capture again"
_NOT_OURS = "report this: FFmpeg wrote what it should not"
_MOVIE_FLAGS = "frag_keyframe+empty_moov+default_base_moof"


@dataclass(frozen=True, slots=True)
class Init:
    """`ftyp` and `moov`; comes once, before every fragment."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """`moof` and `mdat` of one GOP, and what its header on the socket says."""

    header: FragmentHeader
    data: bytes


class _Collector:
    """What FFmpeg writes, cut into whole boxes. It has no `seek`: FFmpeg never goes back in a fragmented file."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def boxes(self) -> Iterator[tuple[bytes, bytes]]:
        """(kind, whole box) of each complete box since the last call."""
        while len(self._held) >= 8:
            size = int.from_bytes(self._held[:4])
            if size < 8:
                raise CaptureError("muxer", f"a box of {size} bytes", _NOT_OURS)
            if len(self._held) < size:
                return
            whole = bytes(self._held[:size])
            del self._held[:size]
            yield whole[4:8], whole


class Muxer:
    """One capture: packets in, parts out. Not for two threads at once."""

    def __init__(self, video: Video, sound: Sound) -> None:
        self._rate = sound.sample_rate_hz
        self._frame_ns = SECOND_NS // video.frames_per_second
        self._collector = _Collector()
        self._container = av.open(self._collector, "w", format="mp4", options={"movflags": _MOVIE_FLAGS})
        self._video = self._container.add_mux_stream(
            "h264", rate=video.frames_per_second, width=video.width, height=video.height
        )
        self._video.time_base = Fraction(1, VIDEO_TIMESCALE)
        self._audio = self._container.add_stream("aac", rate=self._rate, layout="mono", bit_rate=SOUND_BIT_RATE_BPS)
        self._origin_ns: int | None = None
        self._newest_ns = 0
        self._pending_ns: deque[int] = deque()
        self._track = SoundTrack(self._rate)
        self._sound_wanted = True
        self._init: mp4.Init | None = None
        self._start_boxes: list[bytes] = []

    def set_sound(self, on: bool) -> None:
        """From the next keyframe on, record sound, or silence in its place."""
        self._sound_wanted = on

    def picture(self, picture: Picture) -> list[Init | Fragment]:
        """Take one picture; returns what became complete. Raises CaptureError."""
        if self._origin_ns is None:
            if not picture.keyframe:
                return []
            if not _has_parameter_sets(picture.data):
                raise CaptureError("source", "the first keyframe has no SPS and PPS", "let the encoder repeat them")
            self._origin_ns = picture.boot_ns
        self._check_time(picture)
        if picture.keyframe:
            self._track.switch(self._sound_wanted, self._samples_at(picture.boot_ns))
        self._track.fill_to(self._samples_at(picture.boot_ns - SOUND_LAG_NS))
        self._pending_ns.append(picture.boot_ns)
        self._newest_ns = picture.boot_ns
        packet = av.Packet(picture.data)
        packet.stream = self._video
        packet.time_base = Fraction(1, VIDEO_TIMESCALE)
        packet.pts = packet.dts = self._ticks_at(picture.boot_ns)
        packet.duration = VIDEO_TIMESCALE * self._frame_ns // SECOND_NS
        packet.is_keyframe = picture.keyframe
        self._mux(packet)
        return self._encode_sound()

    def sound(self, block: SoundBlock) -> list[Init | Fragment]:
        """Take one block of sound; returns what became complete. Blocks before the first picture are left out."""
        if self._origin_ns is None:
            return []
        self._track.add(self._samples_at(block.boot_ns), block.samples, block.heard)
        return self._encode_sound()

    def take_missing_ms(self) -> int:
        """How much silence stands for sound that is missing, since the last call."""
        return self._track.take_missing() * 1000 // self._rate

    def finish(self) -> list[Init | Fragment]:
        """The last, incomplete GOP, if there is one. Nothing may follow."""
        if self._origin_ns is not None:
            self._mux_sound(self._audio.encode(None))
        self._container.close()
        return list(self._complete())

    def _check_time(self, picture: Picture) -> None:
        if not self._pending_ns:
            return
        last_ns, gop_ns = self._pending_ns[-1], self._pending_ns[0]
        if self._ticks_at(picture.boot_ns) <= self._ticks_at(last_ns):
            raise CaptureError("source", f"a picture {last_ns - picture.boot_ns} ns before the last one", _AGAIN)
        if picture.boot_ns - last_ns > MAX_PICTURE_GAP_NS:
            raise CaptureError("source", f"no picture for {picture.boot_ns - last_ns} ns", _AGAIN)
        if picture.boot_ns - gop_ns > MAX_FRAGMENT_NS - SECOND_NS:
            raise CaptureError("source", f"no keyframe for {picture.boot_ns - gop_ns} ns", _AGAIN)

    def _ticks_at(self, boot_ns: int) -> int:
        assert self._origin_ns is not None
        return ((boot_ns - self._origin_ns) * VIDEO_TIMESCALE + SECOND_NS // 2) // SECOND_NS

    def _samples_at(self, boot_ns: int) -> int:
        assert self._origin_ns is not None
        return ((boot_ns - self._origin_ns) * self._rate + SECOND_NS // 2) // SECOND_NS

    def _encode_sound(self) -> list[Init | Fragment]:
        for position, samples in self._track.blocks(self._samples_at(self._newest_ns)):
            frame = av.AudioFrame("s16", "mono", BLOCK_SAMPLES)
            frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), position
            frame.planes[0].update(samples)
            self._mux_sound(self._audio.encode(frame))
        return list(self._complete())

    def _mux_sound(self, packets: list[av.Packet[av.AudioStream]]) -> None:
        """The encoder's first packet holds nothing but its run-up, before time 0: without it every track begins at 0,
        where FFmpeg would move it."""
        for packet in packets:
            if packet.pts is not None and packet.pts >= 0:
                self._mux(packet)

    def _mux(self, packet: av.Packet[av.AudioStream] | av.Packet[Stream]) -> None:
        try:
            self._container.mux_one(packet)
        except av.FFmpegError as error:
            raise CaptureError("muxer", str(error), _AGAIN) from error

    def _complete(self) -> Iterator[Init | Fragment]:
        for kind, whole in self._collector.boxes():
            self._start_boxes.append(whole)
            if kind == b"moov":
                yield self._take_init()
            elif kind == b"mdat":
                yield self._take_fragment()

    def _take_boxes(self) -> bytes:
        data = b"".join(self._start_boxes)
        self._start_boxes.clear()
        if len(data) > MAX_PAYLOAD_BYTES:
            raise CaptureError("muxer", f"a GOP of {len(data)} bytes", "lower the board's max_bit_rate_bps")
        return data

    def _take_init(self) -> Init:
        data = self._take_boxes()
        try:
            self._init = mp4.parse_init(memoryview(data))
        except FormatError as error:
            raise CaptureError("init", str(error), _NOT_OURS) from error
        if not _has_avcc(self._init.video.stsd):
            raise CaptureError("init", "FFmpeg wrote no parameter sets", "install the version of av that is asked for")
        return Init(data)

    def _take_fragment(self) -> Fragment:
        data = self._take_boxes()
        assert self._init is not None, "the init comes first"
        try:
            runs = mp4.parse_fragment(memoryview(data), self._init)
        except FormatError as error:
            raise CaptureError("fragment", str(error), _NOT_OURS) from error
        video_id = self._init.video.track_id
        heard = any(self._track.heard(run.decode_time, run.end_time) for run in runs if run.track_id != video_id)
        frames = next(len(run.samples) for run in runs if run.track_id == video_id)
        gop_ns = [self._pending_ns.popleft() for _ in range(frames)]
        end_ns = gop_ns[-1] + self._frame_ns
        if self._pending_ns and self._pending_ns[0] - end_ns <= self._frame_ns:
            end_ns = self._pending_ns[0]
        t0_ns = gop_ns[0]
        return Fragment(FragmentHeader(len(data), t0_ns, end_ns - t0_ns, frames, heard), data)


def _has_parameter_sets(keyframe: bytes) -> bool:
    """Annex B: without SPS (7) and PPS (8) FFmpeg's muxer would wait for them for ever."""
    return {7, 8} <= {unit[0] & 0x1F for unit in keyframe.split(b"\0\0\1")[1:] if unit}


def _has_avcc(stsd: bytes) -> bool:
    """An `avcC` that was made without SPS and PPS has only its own header."""
    at = stsd.find(b"avcC")
    return at >= 4 and int.from_bytes(stsd[at - 4 : at]) > 8 + 7
