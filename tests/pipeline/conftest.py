"""What several of the pipeline's tests stand on."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme


class Certificate(NamedTuple):
    """TLS for 127.0.0.1, signed by an authority that only the client side of it trusts."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    chain_file: Path
    key_file: Path
    authority_file: Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    chain, key, trusted = folder / "chain.pem", folder / "key.pem", folder / "authority.pem"
    for number, part in enumerate(issued.cert_chain_pems):
        part.write_to_path(chain, append=number > 0)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(trusted)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    issued.configure_cert(server)
    authority.configure_trust(client)
    return Certificate(server, client, chain, key, trusted)
