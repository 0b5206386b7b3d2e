"""A certificate for one measurement: TLS is between two processes of this machine, and nobody else trusts it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from scenarios.errors import NotReady

HOST = "127.0.0.1"
TIMEOUT_S = 10.0


class CertificateFiles(NamedTuple):
    """PEM files: a certificate that signs itself, and its private key."""

    certificate: Path
    key: Path


def require_openssl() -> None:
    """Raise NotReady if the command that makes certificates is not there."""
    if shutil.which("openssl") is None:
        raise NotReady("the openssl command is missing, and HTTPS cannot be measured without; apt install openssl")


def certificate_for_loopback(folder: Path) -> CertificateFiles:
    """Return a new certificate for 127.0.0.1, valid for a day, in the folder.

    Its key is ECDSA on P-256, as certificates of the web are. Once a connection stands it no longer matters.

    Raises:
        NotReady: there is no openssl command, or it makes none; its own words say why.
    """
    require_openssl()
    files = CertificateFiles(folder / "certificate.pem", folder / "key.pem")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "1", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}"]
    where = ["-keyout", str(files.key), "-out", str(files.certificate)]
    done = subprocess.run(
        ["openssl", "req", "-x509", *curve, *names, *where],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise NotReady(
            f"openssl made no certificate ({said[-1] if said else 'no reason'}); OpenSSL 1.1.1 or later does"
        )
    return files
