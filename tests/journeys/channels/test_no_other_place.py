"""Nothing but a channel's own files spells its name: a list of channels that somebody writes down is wrong with the next channel."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

import pytest

from activities.providers.registry import BUILT_IN
from journeys.channels import CHANNELS
from journeys.rules.fields import CONTACT_COLUMNS
from tests.axes import unwanted
from tests.test_house import ROOT

ROOMS = ("activities", "api", "builder_ui", "commands", "crm", "engine", "journeys", "models", "reports", "storage", "workspace")
FIELDS = frozenset(CHANNELS) & frozenset(CONTACT_COLUMNS)
"""Names that are also a field of the contact and a kind of identifier, and mean that nearly everywhere."""
ALONE = frozenset(CHANNELS) - FIELDS
OF_TEMPLATES = (
    "activities/rendering",
    "activities/templates/library.py",
    "activities/templates/preview.py",
    "builder_ui/templates",
)
"""Where a name that is also a field's would be a kind of template."""

EXCEPTIONS: Mapping[str, str] = {
    "activities/rendering/allowed.py": "`sms` is a scheme of web addresses",
    "activities/rendering/check.py": "`sms` is a scheme of web addresses",
    "activities/rendering/foreign.py": "the contact's field `email`, as other systems' templates spell it",
    "api/admin/accounts.py": "an example of the OpenAPI description",
    "api/admin/contacts.py": "examples of the OpenAPI description",
    "api/admin/forms.py": "an example of the OpenAPI description",
    "api/admin/imports.py": "examples of the OpenAPI description",
    "api/in_app/embed.py": "`push` is the name of a script for websites, which stays",
    "api/tracking/endpoints.py": "examples of the OpenAPI description",
    "commands/demo/readers.py": "the made-up people of the demo read e-mails",
}


PROVIDERS = frozenset(f"activities/providers/{name.partition(':')[0]}.py" for name in BUILT_IN)
"""Each says which channels it carries."""
WAY_OUT = (
    "Take channels from journeys.channels (CHANNELS, SENDABLE, ADDRESSED, or DEFAULT for one of them), and what one is asked from a field of "
    "`Channel`. If it is another thing of the same name, give it another name, or name the file in EXCEPTIONS with the reason:"
)


def own_files(name: str) -> set[str]:
    return {f"journeys/channels/{name}.py", f"journeys/nodes/send_{name}.py", *PROVIDERS}


def product() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted([*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def named(tree: ast.Module, place: str) -> Iterator[tuple[int, str]]:
    """(line, name) of every channel that is spelt in the file."""
    is_of_templates, styles = place.startswith(OF_TEMPLATES), _styles(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in (CHANNELS if is_of_templates else ALONE) and node not in styles:
            yield node.lineno, str(node.value)
        yield from ((node.lineno, name) for name in _as_channel(node) if name in FIELDS)
        if isinstance(node, ast.ImportFrom) and (node.module or "").removeprefix("journeys.channels.") in CHANNELS:
            yield node.lineno, (node.module or "").rpartition(".")[2]


def _styles(tree: ast.Module) -> set[ast.expr]:
    """The values of `className`, which name styles of pages."""
    dicts = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    pairs = [pair for node in dicts for pair in zip(node.keys, node.values, strict=True)]
    return {value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "className"}


def _as_channel(node: ast.AST) -> Iterator[str]:
    """Constants that are compared with a channel, given as one, or stand in a list with one."""
    match node:
        case ast.Compare(left=left, comparators=others) if "channel" in ast.unparse(node).lower():
            yield from _texts([left, *others])
        case ast.keyword(arg=str(name), value=value) if "channel" in name:
            yield from _texts([value])
        case ast.AnnAssign(target=ast.Name(id=str(name)), value=ast.expr() as value) if "channel" in name:
            yield from _texts([value])
        case ast.Assign(targets=[ast.Name(id=str(name))], value=value) if "channel" in name.lower():
            yield from _texts([value])
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            yield from _texts([value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "channel"])
        case ast.Subscript(value=of, slice=ast.expr() as chosen) if "channel" in ast.unparse(of).lower():
            yield from _texts([chosen])


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for outer in nodes:
        for node in ast.walk(outer):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def places() -> dict[str, list[tuple[int, str]]]:
    found = {place: [(line, name) for line, name in named(tree, place) if place not in own_files(name)] for place, tree in product()}
    return {place: lines for place, lines in found.items() if lines and place != "journeys/channels/__init__.py"}


def test_no_other_file_spells_a_channel() -> None:
    found = {place: lines for place, lines in places().items() if place not in EXCEPTIONS}
    assert found == {}, unwanted(found, WAY_OUT)


def test_every_exception_is_one() -> None:
    assert set(EXCEPTIONS) <= set(places())


@pytest.mark.parametrize(
    "line",
    [
        'if channel == "email": ...',
        'if message.channel in ("email", "sms"): ...',
        'CHANNELS = ["email", "team"]',
        'send(channel="email")',
        'row = {"channel": "email"}',
        'account = settings.channels["email"]',
        "from journeys.channels.email import Email",
        'names = {"sms": "SMS"}',
        'Literal["whatsapp", "push"]',
        'channel: str = "email"',
    ],
)
def test_a_planted_name_is_found(line: str) -> None:
    assert list(named(ast.parse(line), "crm/planted.py")), line


def test_a_style_is_no_channel() -> None:
    assert list(named(ast.parse('html.div({"className": "postcard", "kind": "sms"})'), "builder_ui/fine.py")) == [(1, "sms")]


@pytest.mark.parametrize("line", ['if kind == "email": ...', 'row = {"email": contact.email}', 'names = ("email", "phone")'])
def test_a_field_of_the_contact_is_no_channel(line: str) -> None:
    assert not list(named(ast.parse(line), "crm/fine.py")), line


def test_a_kind_of_template_is_one_where_templates_are() -> None:
    assert list(named(ast.parse('if kind == "email": ...'), "activities/rendering/planted.py"))
