"""The axis "provider": a provider from outside the tree is found in every place that walks the registry, and no other file names one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

import worker
from activities import account_setup
from activities.accounts import Accounts
from activities.providers import ConfiguredProvider, ProviderConfig, Providers, Surroundings
from activities.providers.registry import BUILT_IN
from commands import doctor as doctors
from commands.providers import accounts_of, providers_of, seeds
from models import Database
from models.migrate import upgrade
from settings import Settings
from tests.axes import unwanted
from tests.toy_provider import LOFTS, Loft, Pigeon, settings_of
from workspace import accounts, audit

ROOT = Path(__file__).parents[1]
ROOMS = ("activities", "api", "builder_ui", "commands", "crm", "engine", "journeys", "models", "reports", "storage", "workspace")
REACHING = tuple(name.partition(":")[0] for name in BUILT_IN)

REGISTRY = "activities/providers/registry.py"
WEBHOOK = "Slack's incoming webhook: an address that is a secret of the workspace, and goes through no account"
NAMED: dict[str, dict[str, str]] = {
    "slack": {
        "activities/team/handler.py": WEBHOOK,
        "activities/team/slack.py": WEBHOOK,
        "activities/webhooks/fake.py": WEBHOOK,
        "builder_ui/settings/secrets.py": WEBHOOK,
        "journeys/nodes/notify_team.py": "the webhook's step; and where in Slack marketers find the ID of a channel",
        "worker.py": WEBHOOK,
    },
    "imap": {
        "activities/inbound/mailboxes.py": "who reads mailboxes speaks their protocol",
        "activities/providers/imap_wire.py": "the provider's wire",
        "api/admin/accounts.py": "examples in OpenAPI are of a provider that there is",
        "settings.py": "says which servers the setting is about",
    },
    "ses": {"api/admin/accounts.py": "examples in OpenAPI are of a provider that there is"},
    "smtp": {
        "api/admin/accounts.py": "examples in OpenAPI are of a provider that there is",
        "commands/demo/story.py": "the code of a made-up bounce is one that a mail server gives",
        "settings.py": "the variables that seed the first account are public; each is a field with its description",
    },
}
"""Provider -> files besides its own and the one list that name it, and why. A new one needs none."""


def names_in(tree: ast.AST, name: str) -> Iterator[str]:
    """Where code names the provider: a text that is its name or begins with it, an import of its file, a name with it as a word."""
    text = re.compile(rf"(^|[^a-z]){name}([^a-z]|$)", re.IGNORECASE)
    word = re.compile(rf"(^|_){name}(_|$)", re.IGNORECASE)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs and text.search(node.value):
            yield f"{node.lineno}: {node.value[:60]!r}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith(f"providers.{name}"):
            yield f"{node.lineno}: import"
        for called in (getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "arg", None), getattr(node, "name", None)):
            if isinstance(called, str) and word.search(called):
                yield f"{getattr(node, 'lineno', 0)}: {called}"


def naming(name: str, root: Path = ROOT) -> dict[str, list[str]]:
    files = [*root.glob("*.py"), *(path for room in ROOMS for path in (root / room).rglob("*.py"))]
    found = {str(path.relative_to(root)): list(names_in(ast.parse(path.read_text("utf-8")), name)) for path in files}
    return {path: places for path, places in found.items() if places and path != f"activities/providers/{name}.py"}


@pytest.mark.parametrize("name", REACHING)
def test_no_other_file_names_a_provider(name: str) -> None:
    found, excepted = naming(name), {REGISTRY, *NAMED.get(name, ())}
    elsewhere = {path: places for path, places in found.items() if path not in excepted}
    assert elsewhere == {}, unwanted(elsewhere, "Let the provider's class say it (`ConfiguredProvider`), and ask the registry:")
    assert excepted <= set(found), "an exception that is none any more"


@pytest.mark.parametrize("line", ['kind = "smtp"', "from activities.providers.smtp import Smtp", "smtp_host = 1", 'code = "smtp_535"'])
def test_a_name_elsewhere_would_be_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "planted.py").write_text(line)
    assert list(naming("smtp", tmp_path)) == ["api/planted.py"]


def test_the_outbox_is_asked_for_by_what_it_promises_not_by_its_name() -> None:
    """Its name is also that of the page on which people read what it kept; as a provider only the registry and those who compose know it."""
    composing = {
        "worker.py": "staging and the demo are composed of it, without loading the registry's list",
        "commands/demo/story.py": "the demo's readers read what it kept",
        "activities/providers/__init__.py": "what a process that sends nothing imports",
        "activities/providers/registry.py": "who carries what no account is chosen for",
    }
    importing = {
        str(path.relative_to(ROOT))
        for path in [*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and any(one.name == "Outbox" for one in node.names)
    }
    assert importing == set(composing)


def test_every_provider_has_its_conformance_suite_and_says_what_a_form_needs() -> None:
    providers = Providers.built_in()
    for kind in (providers.nobody, *providers):
        suite = ROOT / "tests" / "activities" / "providers" / f"test_{kind.name}.py"
        assert kind.label
        assert bool(kind.channels) is not kind.collects, "it sends, or is read from"
        assert kind.collects or "(Conformance)" in suite.read_text("utf-8"), kind.name
        for name, field in kind.Config.model_json_schema().get("properties", {}).items():
            assert kind.Config.model_fields[name].title, name
            assert set(field.get("enum", ())) == set(field.get("words", {})), f"{name} has words for every choice"


def test_what_decides_where_secrets_go_is_marked_or_it_is_every_plain_field() -> None:
    class Unmarked(Pigeon):
        class Config(ProviderConfig):
            place: str
            key: SecretStr
            letters: int = 2

    fields = {kind.name: account_setup.destination_fields(kind) for kind in Providers.built_in()}
    assert fields["smtp"] == {"host", "port", "tls"}
    assert all(not marked & account_setup.secret_fields(kind) for kind, marked in zip(Providers.built_in(), fields.values(), strict=True))
    assert account_setup.destination_fields(Pigeon) == {"loft"}
    assert account_setup.destination_fields(Unmarked) == {"place", "letters"}


# A provider from outside the tree


@pytest.fixture
def live(tmp_path: Path, sqlite_db: Database) -> Settings:
    return Settings(home=tmp_path, database_url=sqlite_db.url, channels={"sms": {"provider": "pigeon", "account": "main"}})


class Seeded(Pigeon):
    """As an installation would add it whose loft is always the same."""

    class Config(Pigeon.Config):  # type: ignore[name-defined, misc]
        loft: str = "alps"


def test_the_registry_has_it(live: Settings) -> None:
    providers = providers_of("live", [Pigeon])
    assert providers.get("pigeon") is Pigeon
    assert Pigeon in providers.of_channel("sms")
    assert [kind.name for kind in providers][-1] == "pigeon"
    assert providers_of("staging", [Pigeon]).get("pigeon") is None


def test_a_start_seeds_its_account(live: Settings) -> None:
    [seed] = seeds(live, providers_of("live", [Seeded]), {})
    assert (seed.given.provider, seed.name, seed.channels) == ("pigeon", "main", ["sms"])
    assert seed.given.secrets == {"token": ""}


def test_doctor_shows_it(live: Settings) -> None:
    LOFTS["alps"] = Loft()
    keys = tuple(live.signing_keys().values())
    file = Path(live.home) / "own.db"
    upgrade(f"sqlite:///{file}")
    db = Database(f"sqlite:///{file}")
    audit.bind(db, keys)
    with db.write() as session:
        accounts.add(session, keys, "main", account_setup.read(Pigeon, settings_of("alps"))[1], "test", datetime.now(UTC))
        accounts.carry(session, {"sms": "pigeon.main"}, "test", datetime.now(UTC))
    settings = live.model_copy(update={"database_url": f"sqlite:///{file}", "channels": {}})
    found = {one.subject: one for one in doctors.doctor(settings, [Pigeon]) if one.subject in ("providers", "mail")}
    assert found["providers"].message == "pigeon.main is used for sms"
    assert (found["mail"].state, found["mail"].message) == ("good", "pigeon.main answers")
    LOFTS["alps"].is_there = False
    [mail] = [one for one in doctors.doctor(settings, [Pigeon]) if one.subject == "mail"]
    assert mail.state == "bad"
    assert mail.message.endswith("(pigeon_no_loft). Feed the pigeons.")
    unknown = [one for one in doctors.doctor(settings) if one.subject == "providers"]
    assert [one.state for one in unknown] == ["bad"]
    db.close()
    LOFTS.clear()


def test_staging_has_no_account_whatever_its_database_holds(tmp_path: Path, sqlite_db: Database) -> None:
    """The law: a row, copied or smuggled in, carries nothing there, and its provider's file is not even loaded."""
    LOFTS["alps"] = Loft()
    settings = Settings(home=tmp_path, database_url=sqlite_db.url, workspace="staging")
    engine = worker.build_engine(settings, sqlite_db, [])
    with sqlite_db.write() as session:
        accounts.add(session, engine.address_keys, "main", account_setup.read(Pigeon, settings_of("alps"))[1], "test", datetime.now(UTC))
        accounts.carry(session, {"sms": "pigeon.main", "email": "pigeon.main"}, "test", datetime.now(UTC))
    found: Accounts = accounts_of(settings, engine, [Pigeon])
    for channel in ("sms", "email", "team"):
        assert found.of_channel(channel).account == "outbox.default"
    assert found.callback("pigeon.main", "news") is None
    performers = worker.build_performers(settings, engine, [], found)
    assert {performers[channel].name for channel in ("sms", "email", "team")} == {"outbox"}
    assert LOFTS["alps"].arrived == {}
    LOFTS.clear()


def test_a_provider_says_all_that_the_contract_asks() -> None:
    class Nothing(ConfiguredProvider):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Nothing()  # type: ignore[abstract]
    assert Surroundings.__dataclass_fields__.keys() == {"db", "now", "public_url", "account", "return_path", "guard"}
