"""Pictures of any size, shape and format to those of the board: upright, undistorted, bars where the shape differs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
from av.filter import Graph

_TURNS = {90: ["transpose=cclock"], -90: ["transpose=clock"], 180: ["hflip", "vflip"], -180: ["hflip", "vflip"]}


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a filter graph is made for. `turn` is counterclockwise, in degrees."""

    width: int
    height: int
    pixel_format: str
    turn: int


class Fitter:
    """Fits pictures to `width` x `height`, yuv420p. `pixel_aspect` is width by height of the file's pixels."""

    def __init__(self, width: int, height: int, pixel_aspect: Fraction = Fraction(1)) -> None:
        self._width = width
        self._height = height
        self._pixel_aspect = pixel_aspect
        self._shape: _Shape | None = None
        self._graph = Graph()

    def fit(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame fitted; raises av.FFmpegError if FFmpeg cannot."""
        shape = _Shape(frame.width, frame.height, frame.format.name, frame.rotation)
        if shape != self._shape:
            self._graph, self._shape = self._build(frame, shape), shape
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _build(self, frame: av.VideoFrame, shape: _Shape) -> Graph:
        wide, high = shape.width * self._pixel_aspect, Fraction(shape.height)
        turns = _TURNS.get(shape.turn, [])
        if abs(shape.turn) == 90:
            wide, high = high, wide
        scale = min(self._width / wide, self._height / high)
        width, height = (max(round(side * scale / 2) * 2, 2) for side in (wide, high))
        left, top = (self._width - width) // 4 * 2, (self._height - height) // 4 * 2
        steps = [
            *turns,
            f"scale={width}:{height}",
            f"pad={self._width}:{self._height}:{left}:{top}:black",
            "setsar=1",
            "format=yuv420p",
        ]
        graph = Graph()
        graph.threads = 1
        nodes = [
            graph.add_buffer(
                width=shape.width,
                height=shape.height,
                format=frame.format,
                time_base=frame.time_base or Fraction(1, 1000),
            )
        ]
        for step in steps:
            name, _, arguments = step.partition("=")
            nodes.append(graph.add(name, arguments))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph
