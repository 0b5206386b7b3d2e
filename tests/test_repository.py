"""Rules of the repository, as tests."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scenarios.catalogue import load_catalogue
from scenarios.coefficient import COEFFICIENTS, UNLESS_MEASURED
from scenarios.profile import PROFILES, load_profile

ROOT = Path(__file__).parent.parent
PACKAGES = ("scenarios", "sim", "pipeline")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in SOURCES]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_import_contracts_hold():
    done = subprocess.run([str(Path(sys.executable).parent / "lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_can_be_held_in_the_head(path):
    assert path.read_text(encoding="utf-8").count("\n") <= 400
    long = [f"{f.name} ({f.end_lineno - f.lineno + 1})" for f in functions(path) if f.end_lineno - f.lineno >= 60]
    assert long == []


def test_nothing_is_named_after_nothing():
    vague = {"utils", "helpers", "common", "manager", "constants", "misc"}
    assert [path for path in SOURCES if path.stem in vague] == []


def test_imports_print_and_open_nothing():
    """Each module is imported in one fresh interpreter with file writing and printing watched."""
    code = (
        "import sys, importlib, builtins\n"
        "sys.addaudithook(lambda event, args: event in ('socket.connect', 'subprocess.Popen', 'os.system')"
        " and sys.exit(f'side effect: {event} {args}'))\n"
        f"[importlib.import_module(name) for name in {MODULES!r}]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_wheel_holds_the_command_and_its_data(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    kinds = {".yaml", ".j2", ".html", ".js", ".css", ".svg"}
    data = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.suffix in kinds]
    data += (ROOT / package_licence for package_licence in ("pipeline/player/hls.js-LICENSE",))
    assert {"headroom.py", "sim/cli/__init__.py"} | {path.relative_to(ROOT).as_posix() for path in data} <= names


def test_every_test_file_is_collected():
    stray = [
        path.relative_to(ROOT)
        for path in (ROOT / "tests").rglob("*.py")
        if not path.name.startswith("test_") and any(f.name.startswith("test_") for f in functions(path))
    ]
    assert stray == []


def test_coefficient_catalogue_is_the_table_of_the_code():
    text = (ROOT / "docs" / "coefficients.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \| `(.+?)` \| `(.+?)` \|$", text, re.MULTILINE)
    documented = {name: tuple(rest) for name, *rest in rows}
    assert documented == {name: tuple(kind) for name, kind in COEFFICIENTS.items()}


def test_every_coefficient_is_produced_by_a_fit():
    shipped = [load_profile(path.stem) for path in PROFILES.glob("*.yaml")]
    assert shipped
    fitted = {name for name, kind in COEFFICIENTS.items() if kind.producer == "sim.calibration.fit"}
    for profile in shipped:
        names = {coefficient.name for coefficient in profile.coefficients}
        assert names <= fitted
        assert fitted - names <= UNLESS_MEASURED


def test_every_other_coefficient_stands_in_the_catalogue():
    """`encode_sessions` is the one that no shipped accelerator has: none has a cap."""
    known = load_catalogue()
    found = {c.name for one in known.accelerators.values() for c in getattr(one, "coefficients", ())}
    found |= {c.name for c in known.cpu_agreement.values()}
    derived = {"encode_engine_s_per_pixel", "decode_engine_s_per_pixel"}
    others = {name for name, kind in COEFFICIENTS.items() if kind.producer != "sim.calibration.fit"}
    assert found | derived | {"encode_sessions"} == others


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_every_coefficient_is_consumed(name):
    """Its consumer, or that module's package, reads it; `{of}_content_factor` reads several."""
    importlib.import_module(COEFFICIENTS[name].producer)
    home = Path(importlib.import_module(COEFFICIENTS[name].consumer).__file__)
    files = [home] if home.parent.name == "sim" else sorted(home.parent.glob("*.py"))
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    composed = "}_" + name.split("_", 1)[1] in text or ("}_content_factor" in text and name.endswith("_content_factor"))
    assert name in text or composed


def test_pages_name_no_private_path_or_host():
    words = re.compile(r"/(root|home)/|localhost:\d|\b\d{1,3}(\.\d{1,3}){3}\b")
    allowed = {"127.0.0.1", "0.0.0.0"}
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for found in words.finditer(path.read_text(encoding="utf-8")):
            assert found.group() in allowed, f"{path.name}: {found.group()}"
