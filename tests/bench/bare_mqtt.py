"""`python -m tests.bench.bare_mqtt publish|hear PORT FOLDER NAME TOPIC SIZES`: paho as anybody would use it, at QoS 1.

`hear` says `ready`, then the boot clock when all had come; `publish` says the boot clock before its first message. Each
is a process of its own, as a camera and a dock are. SIZES is a file of payload sizes, FOLDER has the certificates.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import threading
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.bench.camera import boot_ns

PATIENCE_S = 120


def main() -> int:
    what, port, folder, name, topic, sizes_file = sys.argv[1:]
    sizes: list[int] = json.loads(Path(sizes_file).read_text())
    client = _client(int(port), Path(folder), name)
    if what == "hear":
        _hear(client, topic, len(sizes))
    else:
        _publish(client, topic, sizes)
    client.disconnect()
    client.loop_stop()
    return 0


def _client(port: int, folder: Path, name: str) -> Client:
    kind = "camera-tls" if (folder / "camera-tls.pem").exists() else "dock-tls"
    context = ssl.create_default_context(cafile=str(folder / "agency.pem"))
    context.check_hostname = False
    context.load_cert_chain(folder / f"{kind}.pem", folder / f"{kind}.key")
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
    client.tls_set_context(context)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert connected.wait(PATIENCE_S), "no broker"
    return client


def _hear(client: Client, topic: str, count: int) -> None:
    done, subscribed = threading.Event(), threading.Event()
    left = count
    at_ns = 0

    def take(_client: Client, _data: object, message: MQTTMessage) -> None:
        nonlocal left, at_ns
        left -= 1
        if left == 0:
            at_ns = boot_ns()
            done.set()

    client.on_message = take
    client.on_subscribe = lambda *_: subscribed.set()
    client.subscribe(topic, qos=1)
    assert subscribed.wait(PATIENCE_S), "not subscribed"
    print("ready", flush=True)
    assert done.wait(PATIENCE_S), f"{left} of {count} messages never came"
    print(at_ns, flush=True)


def _publish(client: Client, topic: str, sizes: list[int]) -> None:
    payloads = [os.urandom(size) for size in sizes]
    print(boot_ns(), flush=True)
    for sent in [client.publish(topic, payload, qos=1) for payload in payloads]:
        sent.wait_for_publish(PATIENCE_S)


if __name__ == "__main__":
    sys.exit(main())
