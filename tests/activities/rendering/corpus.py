"""The corpus: structures of real templates, what they are filled with, and what MJML's reference implementation makes of them.

`python tests/activities/rendering/corpus.py` (`make mjml-expected`) writes `corpus/expected` anew; it needs Node.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from activities.rendering import compile_template, render, render_text

HERE = Path(__file__).parent
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((HERE / "corpus").glob("*.mjml"))}
PRODUCTS = [
    {"name": name, "price": price, "image": f"https://img.example.org/{name[0]}.png", "url": f"https://www.example.org/p/{name[0]}"}
    for name, price in (("Anvil", 129), ("Bellows", 49.5), ("Chisel", 12))
]
VALUES: dict[str, Any] = {
    "contact": {"first_name": "Anna", "city": "Bern", "plan": "gold", "id": "c 1"},
    "trigger": {"products": PRODUCTS, "number": "R-17", "net": 100, "vat": 19},
    "unsubscribe_url": "https://m.example.org/u/1",
    "preferences_url": "https://m.example.org/p/1",
    "view_url": "https://m.example.org/v/1",
}


def ours(name: str) -> str:
    """A source compiled once, then filled in."""
    compiled = compile_template({"default": {"subject": "x", "mjml": SOURCES[name]}}, "email", message_class="transactional")
    return render(compiled, ["en"], VALUES).html


def theirs(name: str) -> str:
    """The same source filled in first and then rendered by the reference implementation."""
    return (HERE / "corpus" / "expected" / f"{name}.html").read_text(encoding="utf-8")


def _squeezed(html: str) -> str:
    """Without the indentation and the random ids; blanks between words stay."""
    html = re.sub(r"\b[0-9a-f]{16}\b", "0" * 16, html)
    return re.sub(r"\n\s*", "\n", re.sub(r"[ \t]+", " ", html)).strip() + "\n"


def main() -> None:
    """Writes what is expected."""
    node = HERE / "node"
    if not (node / "node_modules").exists():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=node, check=True)
    filled = {name: render_text(source, VALUES).text for name, source in SOURCES.items()}
    answer = subprocess.run(["node", "render.mjs"], cwd=node, input=json.dumps(filled), capture_output=True, text=True, check=True)
    for name, html in json.loads(answer.stdout).items():
        (HERE / "corpus" / "expected" / f"{name}.html").write_text(_squeezed(html), encoding="utf-8")


if __name__ == "__main__":
    main()
