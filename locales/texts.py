"""`docs/texts.md`: every text of the product, English beside German, under the room that says it, to be read in one sitting."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[1]
ROOMS = ("builder_ui", "journeys", "crm", "workspace", "storage", "engine", "activities", "api", "reports", "models", "commands")
FILES = ("cli.py", "worker.py", "settings.py")
HEAD = """# Texts

Every text that a person may meet, in English and German, under the folder that says it first. Written by `make docs` from the catalogue; change a
text where it is used and in `locales/`, not here.
"""
_JS = re.compile(r"""\bt\(\s*("(?:[^"\\]|\\.)*")""")


def texts() -> Mapping[str, str]:
    """English -> German, as the catalogue has them."""
    with (ROOT / "locales/de/LC_MESSAGES/pfadwerk.po").open("rb") as file:
        return {str(one.id): str(one.string) for one in read_po(file, locale="de") if one.id}


def sources() -> Iterator[tuple[str, str]]:
    """(folder, a text written there), pages first."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            if path.suffix in (".py", ".js", ".jsx", ".html", ".json") and "node_modules" not in path.parts and "static" not in path.parts:
                yield from ((str(path.parent.relative_to(ROOT)), text) for text in _written(path))
    for name in FILES:
        yield from ((name, text) for text in _written(ROOT / name))


def _written(path: Path) -> Iterator[str]:
    content = path.read_text("utf-8")
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    elif path.suffix == ".html":
        yield from re.findall(r">\s*([^<>{}]+?)\s*<", content)
        yield from re.findall(r"_\(\"([^\"]+)\"\)", content)
    else:
        yield from (
            ast.literal_eval(quoted) for quoted in (_JS.findall(content) if path.suffix != ".json" else re.findall(r'"[^"\\]*"', content))
        )


def page() -> str:
    """The page as Markdown: a table for each folder, what no source names at the end."""
    known, places = texts(), dict[str, str]()
    for folder, text in sources():
        places.setdefault(text, folder)
        places.setdefault(text.strip(), folder)
        places.setdefault(" ".join(text.split()), folder)
    rows: dict[str, list[str]] = defaultdict(list)
    for english, german in sorted(known.items(), key=lambda pair: (pair[0].casefold(), pair[0])):
        rows[places.get(english, "elsewhere")].append(f"| {_cell(english)} | {_cell(german)} |")
    order = [*dict.fromkeys(folder for folder, _ in sources() if folder in rows), "elsewhere"]
    return HEAD + "".join(
        f"\n## `{folder}`\n\n| English | German |\n|---|---|\n" + "\n".join(rows[folder]) + "\n" for folder in order if rows[folder]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>").replace("<br><br>", "<br>")


if __name__ == "__main__":
    sys.stdout.write(page())
