"""TLS 1.3 between camera and dock: certificates on both sides, and the peer judged before the first byte.

Guarantees: a socket of `client_context` has a peer whose certificate was issued by the agency, for servers, and which
`accept` has taken; else it is closed with nothing said over it. Host names prove nothing on a station's network and are
not looked at. Dates are not checked during the handshake, because a camera without a clock could not: whoever knows the
time checks them (docs/docking.md, "Certificates without a clock"). Assumes: `agency` is the agency's own root, by a way
of its own. Source: RFC 8446.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agent.errors import KeyFileError
from agent.ports import AcceptPeer

NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for
_Context = TypeVar("_Context", bound=ssl.SSLContext)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the agency's root, and one's own certificate and key of a TLS role."""

    agency: Path
    certificate: Path
    key: Path


class ClientContext(ssl.SSLContext):
    """A client's context whose sockets ask `accept` about their peer. Made by `client_context`."""

    accept: AcceptPeer


class _JudgingSocket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
            context = self.context
            assert isinstance(context, ClientContext)
            context.accept(peer_certificate(self))
        except BaseException:
            self.close()
            raise


def peer_certificate(connection: ssl.SSLSocket) -> bytes:
    """DER of the certificate that the peer has shown: TLS demanded one."""
    der = connection.getpeercert(binary_form=True)
    assert der is not None
    return der


def client_context(files: TlsFiles, accept: AcceptPeer) -> ClientContext:
    """Reads the files now, each time: a renewed certificate counts from the next connection. Raises KeyFileError."""
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # who may be at the other end is for `accept`
    context.sslsocket_class = _JudgingSocket
    context.accept = accept
    return _load(context, files)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """For a server that demands a certificate of the agency; its caller judges the role. Raises KeyFileError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # nobody resumes: each connection shows its certificate
    return _load(context, files)


def _load(context: _Context, files: TlsFiles) -> _Context:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= NO_CHECK_TIME
    try:
        context.load_verify_locations(files.agency)
    except OSError as error:
        raise _unusable(files.agency, error) from None
    try:
        context.load_cert_chain(files.certificate, files.key, password="")  # else openssl would ask on the terminal
    except OSError as error:
        raise _unusable(files.key, error) from None
    return context


def _unusable(path: Path, error: OSError) -> KeyFileError:
    """`ssl.SSLError` is an OSError too. For a pair that does not match openssl names neither file."""
    return KeyFileError(
        str(path), f"cannot be used in TLS ({error.strerror or error})", "give the files that init made"
    )
