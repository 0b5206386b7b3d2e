"""What can be told of the Dockerfile without building it: that its pieces exist and that it runs as nobody special."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS_ONLY = {"chromium"}
"""System packages that only the tests need."""


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions and their arguments, comments left out and continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in whole.splitlines() if line.strip()]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def copied() -> list[str]:
    return [source for rest in arguments("COPY") for source in rest.split()[:-1]]


def test_it_is_read_as_docker_reads_it():
    known = {"FROM", "ENV", "RUN", "COPY", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert {instruction for instruction, _ in instructions()} == known
    assert instructions()[0][0] == "FROM"


def test_it_stands_on_a_slim_debian_with_a_python_we_support():
    (base,) = arguments("FROM")
    found = re.fullmatch(r"python:3\.(\d+)-slim-bookworm", base)
    assert found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    assert int(found[1]) >= 11


def test_the_driver_is_asked_for_its_video_part():
    variables = dict(pair.split("=", 1) for rest in arguments("ENV") for pair in rest.split())
    assert variables["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert set(variables["NVIDIA_DRIVER_CAPABILITIES"].split(",")) == {"video", "compute", "utility"}


def test_everything_that_is_copied_exists_and_reaches_the_build():
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert source in let_in, source
    assert let_in == set(copied())


def test_what_the_package_is_built_from_is_copied():
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = whole["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    needed = {*wheel, "pyproject.toml", whole["project"]["readme"], *whole["project"]["license-files"]}
    assert needed == set(copied())


def test_the_extras_that_are_installed_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (asked,) = re.findall(r"pip install .*\[(.+?)\]", " ".join(arguments("RUN")))
    assert set(asked.split(",")) <= extras.keys()
    assert "pipeline" in asked


def test_the_system_packages_are_those_of_the_tests():
    (named,) = re.findall(r"apt-get install (.+?) &&", " ".join(arguments("RUN")))
    packages = {word for word in named.split() if not word.startswith("-")}
    script = (ROOT / ".ci" / "system-packages").read_text(encoding="utf-8")
    (pairs,) = re.findall(r"for pair in (.+?); do", script)
    wanted = {pair.partition(":")[2] for pair in pairs.split()} | set(re.findall(r"missing\+=\((\S+?)\)", script))
    wanted = {package for package in wanted if not package.startswith('"')}
    assert packages == wanted - TESTS_ONLY


def test_it_does_not_run_as_root():
    names = [instruction for instruction, _ in instructions()]
    (user,) = arguments("USER")
    assert user not in ("root", "0")
    assert re.search(rf"useradd .*\b{user}\b", " ".join(arguments("RUN")))
    assert "RUN" not in names[names.index("USER") :]


def test_it_starts_the_command():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert arguments("ENTRYPOINT") == ['["headroom"]']
    assert "headroom" in scripts
    assert arguments("CMD") == ['["doctor"]']


@pytest.mark.parametrize("port", ["1935", "8080"])
def test_its_ports_are_those_of_serve(port):
    from inspect import signature

    from pipeline.cli import serve

    assert port in arguments("EXPOSE")[0].split()
    options = signature(serve).parameters
    assert port in {str(options["rtmp_port"].default), str(options["http_port"].default)}


def test_it_says_that_it_was_never_built():
    assert "Never built here" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
