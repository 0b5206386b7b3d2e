"""RTMPS: RTMP inside TLS, with the certificate that the operator names."""

from __future__ import annotations

import ssl
from pathlib import Path

from scenarios.errors import Problem, ScenarioError


def rtmps_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the server's side of RTMPS, TLS 1.2 or later.

    Args:
        certificate: PEM file, the server's certificate first, then those that sign it.
        key: PEM file of its private key, without a pass phrase.

    Raises:
        ScenarioError: a file cannot be read, is no PEM, or the key is not that of the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for option, path in (("--rtmps-cert", certificate), ("--rtmps-key", key)):
        if not path.is_file():
            raise ScenarioError([Problem(option, None, None, "", f"{path} is no file", "name a PEM file")])
    try:
        # Without a password given OpenSSL would ask the terminal for one, and a service would hang there.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        message = f"{certificate} and {key} cannot be used: {(reason or 'not PEM').lower().replace('_', ' ')}"
        hint = "name the certificate chain and its own key, both PEM, the key without a pass phrase"
        raise ScenarioError([Problem("--rtmps-cert", None, None, "", message, hint)]) from None
    return context
