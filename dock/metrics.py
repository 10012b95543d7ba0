"""What the dock counts, for Prometheus. Names and help are what docs/operations-dock.md lists; a test compares."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class Metrics:
    """A registry of its own: nothing of the Python process is told, and two docks in one test do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connected = Gauge("temoin_dock_broker_connected", "1 while the broker answers", registry=self.registry)
        self.messages = Counter(
            "temoin_dock_messages_total", "Messages from cameras, by channel", ["channel"], registry=self.registry
        )
        self.docked = Gauge("temoin_dock_cameras_docked", "Cameras in a session", registry=self.registry)
        self.station = Counter(
            "temoin_dock_station_total",
            "Entries archived, batches taken, blobs stored, receipts given, refusals and alerts, by what",
            ["what"],
            registry=self.registry,
        )
        self.refusals = Counter(
            "temoin_dock_refusals_total",
            "Connections, messages, uploads not taken, by cause",
            ["cause"],
            registry=self.registry,
        )
        self.uploads = Counter(
            "temoin_dock_uploads_total", "Answers of the intake, by HTTP status", ["status"], registry=self.registry
        )
        self.upload_bytes = Counter(
            "temoin_dock_upload_bytes_total", "Bytes of blobs that are durable here", registry=self.registry
        )
        self.upload_seconds = Histogram(
            "temoin_dock_upload_seconds",
            "From a request's head to its answer",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.uploading = Gauge("temoin_dock_uploads_under_way", "Uploads under way", registry=self.registry)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
