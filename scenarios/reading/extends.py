"""A what-if is a difference: `extends:` names another file, `set:` changes values of it, and that is all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from scenarios.errors import Problem, ScenarioError
from scenarios.reading.explain import problem_at
from scenarios.reading.node import Entry, Node, Place, printable
from scenarios.reading.phrases import did_you_mean, echo
from scenarios.reading.set_path import NoSuchPlace, replaced
from scenarios.reading.shape import top
from scenarios.reading.yaml_source import Source, read

LIBRARY = Path(__file__).parent.parent / "library"
"""Where a bare name after `extends:` is looked up."""
LONGEST_CHAIN = 16
"""Files that may extend one another."""

_DESCRIPTIVE = ("title", "question")
_OWN_KEYS = ("extends", "set", *_DESCRIPTIVE)


@dataclasses.dataclass(frozen=True)
class Extended:
    """A document after `extends` and `set`.

    Attributes:
        root: the whole; every value has the place in the file that gave it.
        base: the same before the changes of the first file; None when that file extends nothing.
        changes: the paths that the first file sets, and where it names them.
        files: every file read, the first one first.
        shown: how problems and origins name them.
        problems: what is wrong with single keys and values so far.
        beside: which of `shown` are no scenarios, but files that a value of one names.
    """

    root: Node
    base: Node | None
    changes: dict[str, Place]
    files: tuple[Path, ...]
    shown: tuple[str, ...]
    problems: tuple[Problem, ...]
    beside: frozenset[str] = frozenset()


def read_extended(path: Path, model: type[BaseModel], *, library: Path | None) -> Extended:
    """Read a file and those it extends, and apply what they set.

    Args:
        path: the file.
        model: what it holds; tells where `set` reaches into values that no file spells out.
        library: folder for bare names after `extends`; None where `extends` and `set` are no keys.

    Raises:
        ScenarioError: a file cannot be read, or `extends` leads outside, in a circle or nowhere.
    """
    if library is None:
        alone = read(path)
        return Extended(alone.root, None, {}, (path,), (str(path),), alone.problems)
    files, sources = _read_chain(path, library)
    problems = [problem for source in sources for problem in source.problems]
    root, base = sources[-1].root, None
    if "set" in _entries(root):
        hint = "name the file it changes: 'extends: ...'"
        problems.append(problem_at(root, ("set",), "this file extends none", hint, about_key=True))
        root = Node({key: entry for key, entry in _entries(root).items() if key != "set"}, root.place)
    for source in reversed(sources[:-1]):
        base = root
        root, found = _overlaid(base, source, model)
        problems.extend(found)
    changes = {name: entry.key for name, entry in _changes(sources[0]).items()} if base else {}
    return Extended(root, base, changes, tuple(files), tuple(shown(file, path) for file in files), tuple(problems))


def _read_chain(path: Path, library: Path) -> tuple[list[Path], list[Source]]:
    files, sources = [path], [read(path)]
    while "extends" in _entries(sources[-1].root):
        try:
            files.append(_extended_file(sources[-1].root, files, library))
            sources.append(read(files[-1], shown_as=shown(files[-1], path)))
        except ScenarioError as error:
            so_far = [problem for source in sources for problem in source.problems]
            raise ScenarioError([*so_far, *error.problems]) from None
    return files, sources


def _extended_file(root: Node, files: Sequence[Path], library: Path) -> Path:
    def refusal(message: str, hint: str = "") -> ScenarioError:
        return ScenarioError([problem_at(root, ("extends",), message, hint)])

    name = _entries(root)["extends"].node.content
    if not isinstance(name, str) or not name or not name.isprintable():
        raise refusal(f"must be the name of a file, not {echo(name)}")
    if len(files) == LONGEST_CHAIN:
        raise refusal(f"more than {LONGEST_CHAIN} files extend one another")
    folder = files[-1].resolve().parent
    try:
        candidates = _candidates(name, folder, library)
        inside = [c for c in candidates if c.is_relative_to(folder) or c.is_relative_to(library.resolve())]
        found = next((candidate for candidate in inside if candidate.exists()), None)
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of symbolic links
        raise refusal(f"cannot be looked up: {getattr(error, 'strerror', None) or error}") from None
    if found is None and len(inside) < len(candidates):
        hint = "name a file beside or below this one, or one of the library"
        raise refusal(f"{echo(name)} leads out of the folder of this file", hint)
    if found is None:
        known = [file.name for home in (folder, library) for file in sorted(home.glob("*.yaml"))]
        known += [file.stem for file in sorted(library.glob("*.yaml"))]
        raise refusal(f"no file {echo(name)} beside this one or in the library", did_you_mean(name, known))
    circle = [file.resolve() for file in files]
    if found in circle:
        names = [file.name for file in [*files[circle.index(found) :], found]]
        raise refusal(f"the files extend one another in a circle: {' -> '.join(names)}")
    return found


def _candidates(name: str, folder: Path, library: Path) -> list[Path]:
    """Every file a name may stand for, the nearest first: only a bare name is looked up in the library."""
    places = [folder / name]  # an absolute name stands for itself
    if Path(name).name == name:
        places += [library / name, library / f"{name}.yaml"]
    return [place.resolve() for place in places]


def shown(file: Path, first: Path) -> str:
    """Return how problems name a file: relative to the first one or to the working folder, where it lies below."""
    for home, prefix in ((first.resolve().parent, first.parent), (Path.cwd(), Path())):
        if file.is_relative_to(home):
            return str(prefix / file.relative_to(home))
    return str(file)


def _overlaid(base: Node, source: Source, model: type[BaseModel]) -> tuple[Node, list[Problem]]:
    """Return the base with the changes of one file, and what is wrong with them."""
    entries = _entries(source.root)
    problems = [
        problem_at(
            source.root,
            (key,),
            f"{echo(key)} cannot stand beside 'extends'",
            did_you_mean(key, _OWN_KEYS, otherwise="change values under 'set', by their dotted paths"),
            about_key=True,
        )
        for key in entries
        if key not in _OWN_KEYS
    ]
    described = {key: entries[key] for key in _DESCRIPTIVE if key in entries}
    root = Node({**_entries(base), **described}, base.place)
    if "set" in entries and not isinstance(entries["set"].node.content, dict):
        message = f"must be a mapping of dotted paths to values, not {echo(entries['set'].node.content)}"
        problems.append(problem_at(source.root, ("set",), message, "such as 'platform.cdn.clusters: 12'"))
    done: list[str] = []
    for path, entry in _changes(source).items():
        try:
            root = replaced(root, top(model), path, entry, before=done)
        except NoSuchPlace as error:
            place = entry.key
            problems.append(Problem(place.file, place.line, place.column, printable(path), error.message, error.hint))
        done.append(path)
    return root, problems


def _changes(source: Source) -> dict[str, Entry]:
    entry = _entries(source.root).get("set")
    return entry.node.content if entry and isinstance(entry.node.content, dict) else {}


def _entries(root: Node) -> dict[str, Entry]:
    assert isinstance(root.content, dict)  # the reader refuses any other document
    return root.content
