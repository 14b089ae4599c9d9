"""Finds custom activities: installed packages (entry point group `pfadwerk.activities`) and folders of Python files.

Files are loaded by their path, never through `sys.path`, so a folder cannot shadow an installed module. Runs nothing
but the files' own top level; what a custom activity does is up to `journeys.custom` and the effect that calls it.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from journeys.custom import CustomActivity
from journeys.errors import Misconfigured

GROUP = "pfadwerk.activities"


def load_custom(folders: Iterable[Path] = ()) -> list[CustomActivity]:
    """Every custom activity of installed packages and of the `*.py` files in `folders` (those that begin with _ left out), by name.

    Raises:
        Misconfigured: a folder is missing, a file or package cannot be loaded, holds no activity, or a name and version is there
            twice; names the file.
    """
    found: dict[tuple[str, int], tuple[CustomActivity, str]] = {}
    for place, holder in [*_from_packages(), *_from_folders(folders)]:
        for custom in _activities_in(holder, place):
            _add(found, custom, place)
    return [custom for _, (custom, _) in sorted(found.items())]


def _add(found: dict[tuple[str, int], tuple[CustomActivity, str]], custom: CustomActivity, place: str) -> None:
    known, where = found.setdefault((custom.name, custom.version), (custom, place))
    if known is not custom:
        raise Misconfigured(
            "The custom activity {name} (version {version}) is in {first} and in {second}: rename one.",
            name=custom.name,
            version=custom.version,
            first=where,
            second=place,
        )


def _from_packages() -> Iterator[tuple[str, Any]]:
    for point in entry_points(group=GROUP):
        yield f"{_package(point)} ({point.value})", _loaded(point)


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:  # whatever a foreign module raises while it is imported
        raise Misconfigured(
            "{module} of the package {package} cannot be loaded ({error}): fix it, or remove the package.",
            module=point.value,
            package=_package(point),
            error=_said(error),
        ) from error


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.name


def _from_folders(folders: Iterable[Path]) -> Iterator[tuple[str, Any]]:
    for folder in folders:
        if not folder.is_dir():
            raise Misconfigured(
                "The folder of custom activities {folder} does not exist: create it or change PFADWERK_ACTIVITY_FOLDERS.",
                folder=str(folder),
            )
        yield from _from_folder(folder)


def _from_folder(folder: Path) -> Iterator[tuple[str, Any]]:
    """Its files as modules of one package, which nobody else can name: `from .shared import tariff` reaches a file beside."""
    package = _package_of(folder)
    files = [file for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")]
    modules = {file: _module(package, file) for file in files}
    shared = set().union(*(_imports(file) for file in files)) if files else set()
    for file, module in modules.items():
        if file.stem not in shared or any(isinstance(value, CustomActivity) for value in vars(module).values()):
            yield str(file), module


def _package_of(folder: Path) -> str:
    """A fresh package of a name of its own, so that nothing is shadowed and nothing is left of a former load."""
    name = f"pfadwerk_custom_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"
    for old in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        del sys.modules[old]
    package = ModuleType(name)
    package.__path__ = [str(folder.resolve())]
    sys.modules[name] = package
    return name


def _module(package: str, file: Path) -> ModuleType:
    name = f"{package}.{file.stem if file.stem.isidentifier() else re.sub('[^0-9A-Za-z]', '_', file.stem) + '__'}"
    loaded = sys.modules.get(name)
    if loaded is not None and Path(str(loaded.__file__)).name == file.name:
        return loaded  # a file beside has imported it
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise Misconfigured("{file} cannot be loaded: it is not a Python file.", file=str(file))
    module = module_from_spec(spec)
    # Annotations are resolved through sys.modules.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a foreign file raises while it is loaded
        del sys.modules[name]
        raise Misconfigured(
            "{file} cannot be loaded ({error}): fix it, or remove it from the folder.", file=str(file), error=_said(error)
        ) from error
    return module


def _imports(file: Path) -> set[str]:
    """The files beside that it imports from: they need hold no activity of their own."""
    relative = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.ImportFrom) and node.level == 1]
    return {name for node in relative for name in ([node.module.split(".")[0]] if node.module else [alias.name for alias in node.names])}


def _said(error: Exception) -> str:
    line = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
    return f"{type(error).__name__}: {error}{line}"


def _activities_in(holder: Any, place: str) -> list[CustomActivity]:
    if isinstance(holder, CustomActivity):
        return [holder]
    values = vars(holder).values() if isinstance(holder, ModuleType) else holder if isinstance(holder, list | tuple) else ()
    found = list({id(value): value for value in values if isinstance(value, CustomActivity)}.values())
    if not found:
        raise Misconfigured("There is no custom activity in {place}: decorate a function with @activity (journeys.custom).", place=place)
    return found
