"""What several of the pipeline's tests stand on: a certificate, and for those in a browser Chromium and a server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from browser import Viewer, chromium, viewing
from live_pipeline import Server, serving
from playwright.sync_api import Browser
from small_ladder import SCENARIO


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


@pytest.fixture(scope="session")
def clip_cache(tmp_path_factory) -> Path:
    """What XDG_CACHE_HOME names for tests that publish source clips: each is drawn and encoded once for all of them."""
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def viewer(browser) -> Iterator[Viewer]:
    with viewing(browser) as viewer:
        yield viewer


@pytest.fixture(
    params=[pytest.param((), id="ts"), pytest.param(("--segments", "fmp4"), id="fmp4", marks=pytest.mark.long)]
)
def serve_arguments(request, tmp_path) -> tuple[str, ...]:
    """What `serve` gets: the small ladder, and what the parameter adds."""
    scenario = tmp_path / "small.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    return (str(scenario), *request.param)


@pytest.fixture
def server(serve_arguments) -> Iterator[Server]:
    with serving(*serve_arguments) as server:
        yield server
