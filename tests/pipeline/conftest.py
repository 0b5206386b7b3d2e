"""What the tests in a browser share: one Chromium a module, a fresh viewer and a fresh server a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import Viewer, chromium, viewing
from live_pipeline import Server, serving
from playwright.sync_api import Browser
from small_ladder import SCENARIO


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def viewer(browser) -> Iterator[Viewer]:
    with viewing(browser) as viewer:
        yield viewer


@pytest.fixture(params=[pytest.param((), id="ts")])
def serve_arguments(request, tmp_path) -> tuple[str, ...]:
    """What `serve` gets: the small ladder, and what the parameter adds."""
    scenario = tmp_path / "small.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    return (str(scenario), *request.param)


@pytest.fixture
def server(serve_arguments) -> Iterator[Server]:
    with serving(*serve_arguments) as server:
        yield server
