"""`pfadwerk bench [NAME]`: runs benchmarks of the source tree. `bench/NAME.py` is one if it has a function `run() -> dict`."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TextIO

from journeys.errors import Issue, Misconfigured, NotFound

ROOT = Path(__file__).resolve().parent.parent


def bench(name: str | None, *, out: TextIO, translate: Callable[[str], str], as_json: bool = False, quick: bool = False) -> int:
    """Runs the benchmark `name`, or all of them; prints one JSON object a benchmark, or one line a number.

    `quick` takes the arguments that the benchmark names in `QUICK`: each figure in under a minute, from fewer rounds.

    Raises:
        NotFound: there is no such benchmark.
        Misconfigured: this is an installed package without the folder `bench`.
    """
    known = names()
    if name is not None and name not in known:
        near = get_close_matches(name, known, n=1)
        hint = Issue(code="did_you_mean", text="; did you mean {near}?", values={"near": near[0]}) if near else ""
        raise NotFound("There is no benchmark “{name}”, only {known}{hint}", name=name[:64], known=known, hint=hint)
    for one in [name] if name else known:
        if not as_json:
            out.write(f"{one}\n")
            out.flush()
        _print(_run(one, quick), out, as_json)
    return 0


def names() -> list[str]:
    """The benchmarks there are."""
    files = sorted((ROOT / "bench").glob("*.py"))
    if not files:
        raise Misconfigured("Benchmarks are run in the source tree; this is an installed package without the folder `bench`.")
    return [file.stem for file in files if "\ndef run(" in file.read_text("utf-8")]


def _run(name: str, quick: bool) -> dict[str, Any]:
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    module = importlib.import_module(f"bench.{name}")
    measured: dict[str, Any] = module.run(**(module.QUICK if quick else {}))
    return measured


def _print(measured: dict[str, Any], out: TextIO, as_json: bool) -> None:
    if as_json:
        out.write(json.dumps(measured) + "\n")
    else:
        out.writelines(f"  {key:<32} {json.dumps(value)}\n" for key, value in measured.items())
    out.flush()
