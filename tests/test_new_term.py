"""A rule term that comes from outside the tree is found in every place that walks the terms; and no other place knows one by its name."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import not_, select
from sqlalchemy.orm import Session

from builder_ui.builder import suggestions, widgets
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.rule_editor import rule_field
from builder_ui.kit.i18n import Translator, translator_for
from crm.rules.expression import expression
from crm.rules.sql_facts import SqlFacts
from crm.rules.terms import SQL
from engine.interpreter.simulate import Script, simulate
from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.compile import compile_journey
from journeys.known import Known
from journeys.nodes import Palette
from journeys.reading import read
from journeys.rules import DictFacts, Rule, check_rule, explain, holds, needs_run, next_flip, parse_rule, sentence, terms, topics
from journeys.rules.docs import terms_table
from journeys.rules.model import stray_keys
from journeys.rules.terms import TERMS
from locales import translator
from models import Contact, Database
from storage.sql import table
from tests.axes import Tree, sources, unwanted
from tests.journeys.rules.toys.domain import DomainTerm
from tests.journeys.rules.toys.domain_sql import DomainSql

TOYS = Path(__file__).parent / "journeys" / "rules" / "toys"
AS_OF = datetime(2026, 3, 2, 9, tzinfo=UTC)
AT_HOME = {"domain": "example.org"}
ELSEWHERE = {"domain": "example.org", "has": False}
ADDRESSES = {"ada": "ada@example.org", "bob": "bob@example.com", "eve": "eve@sub-example.org", "ida": None}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The term is registered on both sides, as the two lists would."""
    monkeypatch.setitem(SQL, DomainTerm.kind, DomainSql())
    with TERMS.also(DomainTerm):
        yield


def both(raw: Any) -> Rule:
    return parse_rule({"combinator": "or", "rules": [raw, {"tag": "vip"}]})


# In the language


@pytest.mark.usefixtures("known")
def test_it_is_read_by_its_key_and_written_again() -> None:
    rule = both(ELSEWHERE)
    assert next((path, type(term)) for path, term in terms(rule)) == (("rules", "0"), DomainTerm)
    assert json.loads(rule.model_dump_json())["rules"][0] == ELSEWHERE
    assert parse_rule(json.loads(rule.model_dump_json())) == rule
    with pytest.raises(ValidationError) as error:
        both({"domain": ""})
    assert error.value.errors()[0]["loc"][-2:] == ("DomainTerm", "domain")
    assert [(place, key) for place, key, _ in stray_keys({"rules": [{"domain": "x", "hsa": False}]})] == [("rules.0", "hsa")]


def test_without_it_its_key_means_nothing() -> None:
    with pytest.raises(ValidationError):
        both(AT_HOME)


@pytest.mark.usefixtures("known")
def test_it_is_checked_alone_and_in_a_journey() -> None:
    rule = parse_rule({"rules": [{"domain": "@example.org"}]})
    found = check_rule(rule, Catalogue.built_in(), "here", "rule")
    assert [(one.code, one.field) for one in found] == [("rule.domain", "rule.rules.0.domain")]
    issues = check(read(journey({"domain": "@example.org"})), Palette.built_in(), Catalogue.built_in(), Known(purposes=["marketing"]))
    said = {(one.code, one.node_id, one.field) for one in issues}
    assert ("rule.domain", "asked", "rule.domain") in said
    assert ("unknown_purpose", "asked", "rule.domain") in said, "what its fields name is looked up"
    inside = check_rule(parse_rule({"event": "Order Completed", "where": {"rules": [AT_HOME]}}), Catalogue.built_in(), None, "rule")
    assert [one.code for one in inside] == ["rule.only_properties"]


@pytest.mark.usefixtures("known")
def test_it_says_what_it_depends_on() -> None:
    rule = both(AT_HOME)
    assert topics(rule) == {"field:email", "tag:vip"}
    assert next_flip(rule, DictFacts({}), AS_OF) is None
    assert not needs_run(rule)


# Its answers


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("raw", "who"), [(AT_HOME, {"ada"}), (ELSEWHERE, {"bob", "eve", "ida"})])
def test_closure_database_and_sql_agree(raw: Any, who: set[str], db: Database) -> None:
    rule = both(raw)
    assert {id for id, email in ADDRESSES.items() if holds(rule, DictFacts({"email": email}), AS_OF)} == who
    with db.write() as session:
        for id, email in ADDRESSES.items():
            session.add(Contact(id=id, email=email, created_at=AS_OF, updated_at=AS_OF))
        session.flush()
        assert {id for id in ADDRESSES if holds(rule, SqlFacts(session, id, as_of=AS_OF), AS_OF)} == who
        asked = expression(rule, AS_OF)
        assert _ids(session, asked) == who
        assert _ids(session, not_(asked)) == ADDRESSES.keys() - who, "never NULL"


def _ids(session: Session, condition: Any) -> set[str]:
    return set(session.execute(select(table(Contact).c.id).where(condition)).scalars())


@pytest.mark.usefixtures("known")
def test_it_is_explained() -> None:
    [row, _] = explain(both(AT_HOME), DictFacts({"email": "bob@example.com"}), AS_OF)
    assert row == {"path": "rules.0", "term": AT_HOME, "actual": "bob@example.com", "result": False}
    assert parse_rule(row["term"]) == DomainTerm(domain="example.org")


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("email", "outlet"), [("ada@example.org", "yes"), ("bob@example.com", "no")])
def test_the_simulator_asks_it(email: str, outlet: str) -> None:
    program = compile_journey(read(journey(AT_HOME)), Palette.built_in())
    path = simulate(program, Script(contact={"email": email}))
    assert path.outlets() == [("asked", outlet)]


def journey(rule: dict[str, Any]) -> dict[str, Any]:
    ends = {outlet: {"kind": "exit", "reason": outlet} for outlet in ("yes", "no")}
    return {
        "spec": 1,
        "key": "j",
        "name": "J",
        "entry": {"triggers": [{"type": "manual"}]},
        "start": "asked",
        "nodes": {"asked": {"kind": "if_else", "rule": rule}, **ends},
        "edges": [{"from": "asked", "outlet": outlet, "to": outlet} for outlet in ends],
    }


# For people


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("language", "raw", "words"),
    [
        ("en", AT_HOME, "E-mail ends with “@example.org”"),
        ("de", AT_HOME, "E-Mail endet mit „@example.org“"),
        ("de", ELSEWHERE, "E-Mail ist nicht „@example.org“"),
    ],
)
def test_it_is_said_in_both_languages(language: str, raw: Any, words: str) -> None:
    assert sentence(parse_rule(raw), translator(language)) == words


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("language", "add", "chosen"), [("en", "Add a condition: E-mail", "is not"), ("de", "Bedingung hinzufügen: E-Mail", "ist nicht")]
)
def test_the_rule_editor_offers_and_draws_it(language: str, add: str, chosen: str) -> None:
    edits: list[Any] = []
    form = form_of(translator_for(language), ELSEWHERE, edits)
    drawn = rule_field(form, ("rule",), False)
    assert add in attributes(drawn, "aria-label")
    assert "example.org" in attributes(drawn, "defaultValue")
    assert chosen in str(drawn)
    [written] = [one for one in elements(drawn) if one["attributes"].get("list") == suggestions.suggested("domain")]
    asyncio.run(written["eventHandlers"]["onBlur"].function([{"target": {"value": "example.net"}}]))
    assert edits == [(("rule",), {"combinator": "and", "rules": [{"domain": "example.net", "has": False}]})]
    assert suggestions.suggested("domain") in str(suggestions.offers(translator_for(language), form.lookups)), (
        "the page has the list of suggestions"
    )


def form_of(t: Translator, rule: Any, edits: list[Any]) -> widgets.Form:
    def edit(path: widgets.Path, value: Any, _redraw: bool) -> None:
        edits.append((path, value))

    lookups = Lookups(Catalogue.built_in(), choices={"domain": [("example.org", "")]})
    return widgets.Form(t, lookups, "step", {"rule": rule}, edit, 0)


def elements(model: Any) -> Iterator[dict[str, Any]]:
    if isinstance(model, dict):
        yield {"attributes": {}, "eventHandlers": {}, **model}
        model = model.get("children", ())
    if isinstance(model, list | tuple):
        for child in model:
            yield from elements(child)


def attributes(model: Any, name: str) -> list[Any]:
    return [one["attributes"][name] for one in elements(model) if name in one["attributes"]]


@pytest.mark.usefixtures("known")
def test_the_page_about_rules_has_it() -> None:
    row = '| `domain` | whether the e-mail address is one of a domain | `has` | `{"domain": "example.org"}` |\n'
    assert row in terms_table(TERMS)


# As the recipe says: two files and two lines in lists


def test_two_files_and_their_places_in_two_lists_are_all(tmp_path: Path) -> None:
    tree = Tree.of(tmp_path, "journeys", "crm")
    term, sql = ((TOYS / file).read_text("utf-8") for file in ("domain.py", "domain_sql.py"))
    tree.write("journeys/rules/terms/domain.py", term)
    tree.write("crm/rules/terms/domain.py", sql.replace("tests.journeys.rules.toys.domain", "journeys.rules.terms.domain"))
    tree.add("journeys/rules/terms/__init__.py", "BUILT_IN", "DomainTerm", "from journeys.rules.terms.domain import DomainTerm")
    tree.add("crm/rules/terms/__init__.py", "BUILT_IN", "DomainSql()", "from crm.rules.terms.domain import DomainSql")
    told = tree.ask(TOYS / "story.py")
    assert told == {
        "kinds": [*TERMS.names(), "domain"],
        "sql": [*SQL, "domain"],
        "read": "journeys.rules.terms.domain",
        "schema": ["domain", "has"],
        "empty": ["“Domain” is not chosen yet."],
        "page": True,
    }


# The two lists


def test_both_lists_hold_the_same_kinds_in_files_of_the_same_names() -> None:
    assert list(SQL) == list(TERMS.names()), "the `BUILT_IN` of journeys/rules/terms/ and of crm/rules/terms/ are in the same order"
    for term in TERMS:
        sql = type(SQL[term.kind])
        assert SQL[term.kind].term is term
        assert term.__module__ == f"journeys.rules.terms.{term.kind}"
        assert sql.__module__ == f"crm.rules.terms.{term.kind}"
        assert ("on_event" in vars(sql)) is term.on_event, "what can be asked of an event can be so in SQL"


def test_two_terms_cannot_have_the_same_key() -> None:
    class Other(DomainTerm):
        pass

    with pytest.raises(ValueError, match="claim the key domain"), TERMS.also(DomainTerm, Other):
        pass
    assert DomainTerm.kind not in TERMS.names(), "a registration that fails leaves nothing behind"


@pytest.mark.parametrize("term", TERMS.all, ids=lambda term: term.kind)
def test_a_term_has_an_example_that_can_be_read_and_edited(term: Any) -> None:
    assert type(parse_rule(term.example)) is term
    keys = {field.alias or name for name, field in term.model_fields.items()}
    assert {*term.fresh, *(where.partition(".")[0] for where in term.nested), *term.example} <= keys
    shown = {
        str(getattr(one, name)).partition(".")[0]
        for row in term.shape
        for one in (row if isinstance(row, tuple) else (row,))
        for name in ("key", "field", "operator", "value", "event", "count", "within", "since", "before")
        if hasattr(one, name)
    }
    assert shown - {""} <= keys, "the editor writes what the term reads"
    assert term.kind in shown


# No other file knows a term by its name

HOMES = ("journeys/rules/terms/", "crm/rules/terms/")
ROOMS_OF_RULES = ("journeys/rules/", "crm/rules/", "builder_ui/builder/rule_editor.py", "builder_ui/builder/term_widgets.py")
CLASSES = {term.__name__ for term in TERMS}


def names_asked(name: str, tree: ast.Module) -> list[str]:
    """Where a file asks which kind a term is: by its class, by its key where rules are handled, or in a list of kinds."""
    handles_rules = name.startswith(ROOMS_OF_RULES)
    nodes = [node for node in ast.walk(tree) if _asks_class(node) or _lists_kinds(node) or (handles_rules and _asks_key(node))]
    return [ast.unparse(node) for node in nodes]


def _asks_class(node: ast.AST) -> bool:
    """`isinstance(x, TagTerm)`, `case TagTerm():`, `type(x) is TagTerm`, a table or a list of classes. To make one is no question."""
    match node:
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, which]) | ast.MatchClass(cls=which):
            return any(map(_is_class, ast.walk(which)))
        case ast.Compare(left=left, comparators=others):
            return any(map(_is_class, (left, *others)))
        case ast.Dict(keys=several) | ast.Tuple(elts=several, ctx=ast.Load()) | ast.List(elts=several) | ast.Set(elts=several):
            return any(map(_is_class, several))
    return False


def _is_class(node: ast.AST | None) -> bool:
    return {getattr(node, "id", ""), getattr(node, "attr", "")} & CLASSES != set()


def _lists_kinds(node: ast.AST) -> bool:
    """Three kinds or more, and little else: the sorts of lines on a timeline share some of their names."""
    several = node.keys if isinstance(node, ast.Dict) else node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else []
    kinds = {one.value for one in several if isinstance(one, ast.Constant)} & {*TERMS.names()}
    return len(kinds) >= 3 and len(kinds) * 2 > len(several)


def _asks_key(node: ast.AST) -> bool:
    """`kind == "tag"`, `"tag" in data`, `term.get("tag")`, `term["tag"]`. The scope of a check may be an event."""
    match node:
        case ast.Compare(left=left, comparators=others):
            asked = [one.value for one in (left, *others) if isinstance(one, ast.Constant)]
            return bool({*TERMS.names()} & {*map(str, asked)}) and not ast.unparse(left).endswith("scope")
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return key in TERMS.names()
        case ast.Subscript(slice=ast.Constant(value=str(key)), ctx=ast.Load()):
            return key in TERMS.names()
    return False


def test_no_other_file_asks_for_a_term_by_its_name() -> None:
    found = {name: asked for name, tree in sources(*HOMES).items() if (asked := names_asked(name, tree))}
    assert found == {}, unwanted(found, "Let the term answer instead, by a method of `Term` that these places call:")


@pytest.mark.parametrize(
    "planted",
    [
        "isinstance(term, TagTerm)",
        "isinstance(term, EventTerm | model.MessageTerm)",
        "type(term) is FieldTerm",
        "TABLE = {ScoreTerm: 1}",
        "ALL = (Group, FieldTerm)",
        "match term:\n    case ConsentTerm(consent=one):\n        pass",
        "KINDS = ('event', 'message', 'tag')",
        "LABELS = {'field': 'Field', 'score': 'Score', 'consent': 'Consent'}",
        "'tag' in term",
        "kind == 'score'",
        "term.get('message')",
        "term['consent']",
    ],
)
def test_who_asks_by_name_is_found(planted: str) -> None:
    assert names_asked("journeys/rules/planted.py", ast.parse(planted))


@pytest.mark.parametrize(
    "allowed", ["FieldTerm(field='plan', operator='=', value=1)", "def f(term: EventTerm) -> EventTerm: ...", "x == 'plan'"]
)
def test_who_makes_one_is_not(allowed: str) -> None:
    assert not names_asked("journeys/rules/planted.py", ast.parse(allowed))
