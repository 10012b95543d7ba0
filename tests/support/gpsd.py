"""A gpsd on a real socket that says what a test tells it, and lines that a real one (3.22) has said."""

from __future__ import annotations

import queue
import socket
import threading

VERSION = b'{"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}\r\n'
DEVICES = (
    b'{"class":"DEVICES","devices":[{"class":"DEVICE","path":"/dev/ttyAMA0","driver":"NMEA0183",'
    b'"activated":"2026-11-24T21:42:04.723Z","flags":1}]}\r\n'
)
WATCHING = (
    b'{"class":"WATCH","enable":true,"json":true,"nmea":false,"raw":0,"scaled":false,"timing":false,"split24":false,'
    b'"pps":false}\r\n'
)
NO_FIX = b'{"class":"TPV","device":"/dev/ttyAMA0","mode":1}\r\n'
SKY = (
    b'{"class":"SKY","device":"/dev/ttyAMA0","xdop":0.77,"ydop":0.73,"vdop":1.50,"tdop":1.02,"hdop":1.00,"gdop":2.20,'
    b'"pdop":1.80,"nSat":1,"uSat":1,"satellites":[{"PRN":4,"el":40.0,"az":83.0,"ss":46.0,"used":true,"gnssid":0,'
    b'"svid":4}]}\r\n'
)
FIX = (
    b'{"class":"TPV","device":"/dev/ttyAMA0","mode":3,"time":"2026-11-24T12:00:04.000Z","ept":0.005,'
    b'"lat":48.856613333,"lon":2.352221667,"altHAE":83.0000,"altMSL":35.0000,"alt":35.0000,"epx":11.515,"epy":10.961,'
    b'"epv":34.500,"track":54.7000,"magtrack":55.5292,"magvar":0.8,"speed":0.257,"climb":0.000,"eps":23.03,"epc":69.00,'
    b'"geoidSep":48.000,"eph":19.000,"sep":34.200}\r\n'
)
GREETING = VERSION
FIRST = DEVICES + WATCHING

LIMIT_S = 10


class FakeGpsd:
    """Takes connections one after the other. `connected()` is the next one that has asked to watch."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.asked: list[bytes] = []
        self._taken: queue.Queue[socket.socket] = queue.Queue()
        self._all: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def connected(self) -> socket.socket:
        return self._taken.get(timeout=LIMIT_S)

    def stop_listening(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        for each in self._all:
            each.close()
        if self._listener.fileno() >= 0:
            self.stop_listening()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._all.append(connection)
            try:
                connection.sendall(GREETING)
                self.asked.append(connection.recv(1_024))
                connection.sendall(FIRST)
            except OSError:
                continue
            self._taken.put(connection)
