"""The house rules that a machine can check: locks, arrows, determinism, containers, documents."""

import ast
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from locales import translator
from settings import PREFIX, Settings
from tests.clocks.__main__ import CLOCKS, OWN_CLOCKS

NIGHT = timedelta(hours=3)
ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
ROOMS = tuple(name for name in PACKAGES if name not in ("locales", "migrations"))


def our_files() -> list[Path]:
    """Every file that belongs to the project, by git where there is a repository, else by looking."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = listed.stdout.splitlines() if listed.returncode == 0 else [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]
    return [ROOT / name for name in names if (ROOT / name).is_file() and not name.startswith((".venv/", ".git/", ".pfadwerk/"))]


def pages() -> list[Path]:
    return [path for path in our_files() if path.suffix == ".md"]


# --- Locked packages ---


def locked(lock: str) -> dict[str, list[str]]:
    """Package -> its lines in the lock file."""
    packages: dict[str, list[str]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if not line.startswith(" "):
            packages[re.split(r"[=\[ ]", line)[0]] = []
        packages[list(packages)[-1]].append(line)
    return packages


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_version_with_hashes_and_names_no_address(lock: str) -> None:
    for name, (first, *rest) in locked(lock).items():
        assert "==" in first, name
        assert rest, name
        assert all(line.strip().startswith("--hash=sha256:") for line in rest), name
    assert "://" not in (ROOT / lock).read_text()
    assert "--index" not in (ROOT / lock).read_text()


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=; ]", requirement)[0].lower().replace("_", "-")


def test_what_is_required_is_locked() -> None:
    project = PROJECT["project"]
    assert {_name(one) for one in project["dependencies"]} <= set(locked("requirements.lock"))
    assert {_name(one) for one in project["optional-dependencies"]["dev"]} <= set(locked("requirements-dev.lock"))
    assert {_name(one) for one in PROJECT["build-system"]["requires"]} <= set(locked("requirements-build.lock"))


def test_the_tests_use_the_versions_that_run() -> None:
    run, dev = locked("requirements.lock"), locked("requirements-dev.lock")
    assert {name: lines for name, lines in dev.items() if name in run} == run


def test_every_room_is_in_the_wheel_and_is_linted() -> None:
    packages = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    contracts = (ROOT / ".importlinter").read_text()
    for room in ROOMS:
        assert room in packages
        assert f"\n    {room}\n" in contracts
        assert (ROOT / room / "__init__.py").exists(), f"{room} is no package, so lint-imports cannot see it"


# --- Arrows and determinism ---


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the rooms, to break rules in."""
    folder = tmp_path_factory.mktemp("copy")
    for room in ROOMS:
        shutil.copytree(
            ROOT / room, folder / room, ignore=lambda _, names: [name for name in names if not name.endswith(".py") and "." in name]
        )
    shutil.copy(ROOT / ".importlinter", folder)
    return folder


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "300"}
    return subprocess.run([BIN / "lint-imports", "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_arrows_hold(copy: Path) -> None:
    linted = lint_imports(copy)
    assert linted.returncode == 0, linted.stdout


def test_forbidden_arrows_are_seen(copy: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(copy, broken)
    planted = {
        "journeys/planted.py": "import random\nimport sqlalchemy\n",
        "engine/planted.py": "import activities\n",
        "engine/interpreter/state.py": "import temporalio\n",
        "engine/interpreter/gate.py": "import sqlalchemy\nfrom crm import catalogue\n",
        "models/planted.py": "from journeys.rules import facts\n",
        "crm/planted.py": "import engine\n",
        "storage/planted.py": "import workspace\n",
        "workspace/planted.py": "import crm\n",
        "reports/planted.py": "import settings\n",
        "activities/planted.py": "import engine.enrolment.routing\n",
        "api/planted.py": "import worker\n",
    }
    for name, text in planted.items():
        file = broken / name
        file.write_text((file.read_text() if file.exists() else "") + "\n" + text)
    linted = lint_imports(broken)
    assert linted.returncode == 1
    for chain in (
        "journeys.planted -> random",
        "journeys.planted -> sqlalchemy",
        "engine.planted -> activities",
        "engine.interpreter.state -> temporalio",
        "engine.interpreter.gate -> sqlalchemy",
        "engine.interpreter.gate -> crm.catalogue",
        "models.planted -> journeys.rules.facts",
        "crm.planted -> engine",
        "storage.planted -> workspace",
        "workspace.planted -> crm",
        "reports.planted -> settings",
        "activities.planted -> engine.enrolment.routing",
        "api.planted -> worker",
    ):
        assert chain in linted.stdout


def test_savepoints_are_set_in_one_place() -> None:
    """The story: `session.begin_nested()` sets its savepoint only once a statement goes through the session; steps send theirs past it, so what
    failed in the middle stood all the same. `storage.sql.savepoint` sets it at once. (`identity` sends through the session and asks for its handle.)"""
    uses = {
        name for name, tree in product().items() if any(isinstance(x, ast.Attribute) and x.attr == "begin_nested" for x in ast.walk(tree))
    }
    assert uses == {"storage/sql.py", "crm/people/identity.py"}


UNSTEADY = "import os\nimport random\nimport time\nimport uuid\nfrom datetime import UTC, datetime\n\nX = (datetime.now(UTC), time.time(), random.random(), os.environ, uuid.uuid4())\n"


@pytest.mark.parametrize(
    ("file", "banned"),
    [
        ("journeys/planted.py", 5),
        ("journeys/nodes/planted.py", 5),
        *[(f"engine/interpreter/{name}.py", 5) for name in ("planted", "advance", "gate", "simulate")],
        ("engine/temporal/workflow.py", 5),
        ("engine/runs/step.py", 0),
        ("crm/planted.py", 0),
    ],
)
def test_clock_chance_and_environment_are_banned_where_it_matters(file: str, banned: int) -> None:
    command = [
        BIN / "ruff",
        "check",
        "--no-cache",
        "--select",
        "TID251",
        "--output-format",
        "concise",
        "--stdin-filename",
        ROOT / file,
        "-",
    ]
    linted = subprocess.run(command, input=UNSTEADY, cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.stdout.count("TID251") == banned, linted.stdout


# --- Errors are sentences in the reader's language ---

# The story: errors were f-strings, so a German reader met English in the middle of a German page, and the catalogue could not help.
# An error is a literal sentence with {places}; what fills them is given beside it, and goes to programs as `details`.

NO_SENTENCES = {
    "InvalidEvent": "the tracking API tells programs about one event; SDKs log it, nobody reads it",
    "InvalidEvents": "the same for a batch",
}


CATALOGUE = ROOT / "locales" / "de" / "LC_MESSAGES" / "pfadwerk.po"
SENTENCE = r"[^a-z_].*[.?!:…”}]"
"""How a sentence begins and ends; a value may come first or last."""
DU = re.compile(r"\b(du|dich|dir|dein(e[mnrs]?)?|euch|euer|eure[mnrs]?)\b", re.IGNORECASE)


Sentences = dict[str, list[str]]
"""Constant of a file -> the sentences it holds."""


@cache
def product() -> dict[str, ast.Module]:
    """File -> what stands in it, without tests, benchmarks and examples."""
    files = [file for file in our_files() if file.suffix == ".py" and file.relative_to(ROOT).parts[0] not in ("tests", "bench", "examples")]
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in files}


@pytest.fixture(scope="module", autouse=True)
def _forget() -> Iterator[None]:
    """What was parsed fills memory."""
    yield
    product.cache_clear()


def name_of(call: ast.Call) -> str:
    match call.func:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
    return ""


def errors_made() -> Iterator[tuple[str, str, ast.Call, Sentences]]:
    """(place, class, call, constants of the file) of every error of ours that is made outside the tests; classes are known by their names."""
    trees = product()
    bases = {
        n.name: {ast.unparse(base) for base in n.bases} for tree in trees.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)
    }
    family, more = set[str](), {"PfadwerkError", "Unfit"}
    while more:
        family, more = family | more, {name for name, above in bases.items() if above & more}
    everywhere = {file: sentences_of(tree) for file, tree in trees.items()}
    for file, tree in trees.items():
        constants = {**imported(tree, everywhere), **everywhere[file]}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := name_of(node)) in family:
                yield f"{file}:{node.lineno}", name, node, constants


def sentences_of(tree: ast.Module) -> Sentences:
    """Constants that are a sentence, or a table with nothing but sentences."""
    found: Sentences = {}
    for node in tree.body:
        match node:
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), value=ast.expr() as value):
                held = value.values if isinstance(value, ast.Dict) else [value]
                found[name] = [text for one in held for text in literals(one, found)]
    return found


def imported(tree: ast.Module, everywhere: dict[str, Sentences]) -> Sentences:
    """Constants of the same kind that `tree` takes from another file, without aliases."""
    taken = [(node.module, name.name) for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names]
    known = {name: everywhere.get(f"{(module or '').replace('.', '/')}.py", {}).get(name) for module, name in taken}
    return {name: held for name, held in known.items() if held}


def literals(value: ast.expr, constants: Sentences) -> list[str]:
    """The sentences that `value` may be; none if it is built at run time."""
    match value:
        case ast.Constant(str(text)):
            return [text]
        case ast.Name(name) | ast.Subscript(ast.Name(name)):
            return constants.get(name, [])
    return []


def what_is_wrong(call: ast.Call, constants: Sentences | None = None) -> str | None:
    sentences = literals(call.args[0], constants or {}) if call.args else []
    given = {word.arg for word in call.keywords}
    problems = [wrong for sentence in sentences if (wrong := _wrong_with(sentence, given))]
    return (problems or [None])[0] if sentences else "is no literal sentence"


def _wrong_with(sentence: str, given: set[str | None]) -> str | None:
    german, place = translator("de")(sentence), r"\{(\w+)\}"
    if german == sentence and re.search("[A-Za-z]", re.sub(place, "", sentence)):
        return "has no German"
    if set(re.findall(place, sentence)) != set(re.findall(place, german)):
        return "has other places in German"
    return None if set(re.findall(place, sentence)) <= given or None in given else "has places that nothing fills"


def test_an_error_is_a_full_sentence() -> None:
    """Mixed styles read as two products: "There is no such run." and "there is no such run" stood side by side."""
    made = [
        (place, text)
        for place, name, call, _ in errors_made()
        if name not in (*NO_SENTENCES, "Unfit")
        for text in literals(call.args[0], {})
    ]
    assert len(made) > 100, "the test looks at the wrong tree"
    assert [(place, text) for place, text in made if not re.fullmatch(SENTENCE, text, re.DOTALL)] == []


def test_an_error_is_a_literal_sentence_and_has_german() -> None:
    made = [one for one in errors_made() if one[1] not in NO_SENTENCES]
    assert len(made) > 100, "the test looks at the wrong tree"
    wrong = [f"{place} {wrong}: {ast.unparse(call)}" for place, _, call, constants in made if (wrong := what_is_wrong(call, constants))]
    assert wrong == []


def test_what_an_issue_says_has_german() -> None:
    calls = [(file, node) for file, tree in product().items() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    said = [
        (f"{file}:{call.lineno}", text)
        for file, call in calls
        if name_of(call) == "Issue"
        for word in call.keywords
        if word.arg == "text"
        for text in literals(word.value, {})
    ]
    assert len(said) > 30, "the test looks at the wrong tree"
    assert [(place, text, wrong) for place, text in said if (wrong := _wrong_with(text, {None}))] == []


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        ("NotFound('There is no such run.')", None),
        ("NotFound(f'There is no run {id}.')", "is no literal sentence"),
        ("NotFound('A sentence ' + that_is_built)", "is no literal sentence"),
        ("NotFound('Nobody ever wrote this sentence before.')", "has no German"),
        ("NotFound('There is no file {file}.')", "has places that nothing fills"),
        ("NotFound('There is no file {file}.', **values)", None),
        ("NotFound('{file}: {problem}', file=file, problem=error)", None),
        ("NotFound(KNOWN)", None),
        ("NotFound(TABLE[word])", "has no German"),
        ("NotFound(built)", "is no literal sentence"),
    ],
)
def test_a_wrong_error_is_seen(call: str, wrong: str | None) -> None:
    parsed = ast.parse(call, mode="eval").body
    assert isinstance(parsed, ast.Call)
    constants = sentences_of(
        ast.parse("KNOWN = 'There is no such run.'\nTABLE = {'a': KNOWN, 'b': 'Nobody ever wrote this.'}\nbuilt = f'{KNOWN}'")
    )
    assert what_is_wrong(parsed, constants) == wrong


def test_the_catalogue_has_each_sentence_once_and_says_sie() -> None:
    entries = re.findall(r'^msgid ((?:".*"\n)+)msgstr ((?:".*"\n)+)', CATALOGUE.read_text("utf-8"), re.MULTILINE)
    sentences = [
        ("".join(map(ast.literal_eval, text.splitlines())), "".join(map(ast.literal_eval, de.splitlines()))) for text, de in entries
    ]
    assert len(sentences) > 2_000, "the catalogue is written in another way than the test reads it"
    assert [text for text, number in Counter(text for text, _ in sentences).items() if number > 1] == []
    assert [german for _, german in sentences if DU.search(german)] == []


@pytest.mark.parametrize(("german", "is_du"), [("Hast du Zeit?", True), ("Öffne deine Mails", True), ("Ihre Dauer ist vorbei", False)])
def test_a_du_is_seen(german: str, is_du: bool) -> None:
    assert bool(DU.search(german)) == is_du


# --- Make, CI and containers ---


def test_make_alone_lists_every_target() -> None:
    listed = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "check", "bench", "soak", "clocks", "lock", "migrations-check", "help"):
        assert re.search(rf"make {target} +\w", listed), target


def test_the_files_that_keep_the_clock_of_the_machine_exist_and_every_day_is_dealt_to() -> None:
    assert [name for names in OWN_CLOCKS.values() for name in names if not list((ROOT / "tests").glob(name))] == []
    assert {begins.weekday() for begins, _ in CLOCKS.values()} == set(range(7))
    changed = [
        name
        for name, (begins, _) in CLOCKS.items()
        if begins.utcoffset() != (begins.astimezone(UTC) + NIGHT).astimezone(begins.tzinfo).utcoffset()
    ]
    assert changed == ["a night of 23 hours", "a night of 25 hours"]
    assert any((begins.month, begins.day) == (2, 29) for begins, _ in CLOCKS.values())


def test_a_python_that_does_not_fit_is_named(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit\nexit 1\n')
    old.chmod(0o755)
    made = subprocess.run(
        ["sh", ".ci/venv", tmp_path / "venv"], cwd=ROOT, env={**os.environ, "PYTHON": str(old)}, capture_output=True, text=True, check=False
    )
    assert made.returncode == 1
    assert "Pfadwerk needs Python 3.11, 3.12 or 3.13 with its venv module, and Python 3.9.2 was found" in made.stderr


@pytest.mark.parametrize("script", [".ci/run", ".ci/venv", "tests/prepare.sh"])
def test_scripts_can_be_run_and_stop_at_the_first_error(script: str) -> None:
    assert (ROOT / script).stat().st_mode & stat.S_IXUSR
    text = (ROOT / script).read_text()
    assert re.search(r"^set -eu", text, re.MULTILINE)
    shell = text.splitlines()[0].rpartition("/")[2].rpartition(" ")[2]
    subprocess.run([shell, "-n", ROOT / script], check=True)


@pytest.mark.parametrize("failing", ["", "lint", "test", "lint test", "bundle-check"])
def test_a_change_must_pass_lint_and_tests_which_run_beside_each_other(tmp_path: Path, failing: str) -> None:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "did $1"\nfor failing in {failing or "none"}; do [ "$1" = "$failing" ] && exit 2; done\nexit 0\n')
    make.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    ran = subprocess.run([tmp_path / ".ci/run"], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    assert bool(ran.returncode) == bool(failing)
    if failing != "bundle-check":
        assert "did lint" in ran.stdout
        assert "did test" in ran.stdout
        assert re.findall(r"FAILED: make (\w+)", ran.stderr) == sorted(failing.split(), reverse=True)


DEAR = {
    r'python\("-m", "cli"|sys\.executable, "-m", "cli"': (
        "a start from nothing imports for seconds: take `forks` (tests/forkserver.py)",
        {
            "tests/commands/test_cli.py",
            "tests/commands/test_cli_processes.py",
            "tests/commands/test_json_logs.py",
            "tests/commands/test_safe_path.py",
        },
    ),
    r"\b(chromium|firefox|webkit)\.launch|\bwith chromium\(": (
        "a browser for each file is enough: take `chrome`",
        {
            "tests/activities/rendering/test_corpus.py",
            "tests/builder_ui/conftest.py",
            "tests/builder_ui/test_push_browser.py",
            "tests/chromium.py",
        },
    ),
    r"\bstart_temporal\(": (
        "a Temporal server is a process of seconds: ask `World` of tests/engine/conftest.py, or tests/engine/test_workflow.py",
        {
            "tests/commands/test_demo_weeks.py",
            "tests/commands/test_json_logs.py",
            "tests/commands/test_servers.py",
            "tests/commands/test_setup.py",
            "tests/commands/test_traces_and_probes.py",
        },
    ),
}
"""How a test starts what is dear -> (what to do instead, the files that start it because that is what they look at)."""


def test_what_is_dear_is_started_where_it_is_looked_at() -> None:
    """The story: within a month the suite took half as long again, and a third of it was processes that imported what others had imported."""
    texts = {str(file.relative_to(ROOT)): file.read_text("utf-8") for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__)}
    for written, (instead, files) in DEAR.items():
        assert {name for name, text in texts.items() if re.search(written, text)} == files, instead


SCREEN = "tests/builder_ui/test_a_day.py::test_x"


@pytest.mark.parametrize(
    ("failed", "alone", "code"),
    [
        ([SCREEN], 0, 0),
        ([SCREEN], 2, 1),
        ([SCREEN, SCREEN + "[b]", SCREEN + "[c]"], 0, 1),
        ([SCREEN, "tests/engine/test_engine.py::test_x"], 0, 1),
        (["tests/kill/test_kill.py::test_x"], 0, 1),
        (["tests/activities/test_x.py::test_x"], 0, 1),
        ([], 0, 1),
        (None, 0, 1),
    ],
)
def test_only_a_screen_or_two_are_tried_again(tmp_path: Path, failed: list[str] | None, alone: int, code: int) -> None:
    cache = tmp_path / ".pytest_cache/v/cache"
    cache.mkdir(parents=True)
    if failed is not None:
        (cache / "lastfailed").write_text(json.dumps(dict.fromkeys(failed, True)))
    make = tmp_path / "make"
    make.write_text(f"#!/bin/sh\nexit {alone}\n")
    make.chmod(0o755)
    ran = subprocess.run(
        [sys.executable, ROOT / ".ci/again"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code
    assert (f"FLAKY, to be mended: {SCREEN}" in ran.stdout) == (code == 0)


def test_postgresql_missing_is_told_and_fails_in_ci(tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    (bare / "ls").write_text("#!/bin/sh\nexit 1\n")
    (bare / "id").write_text("#!/bin/sh\necho 1000\n")
    for program in bare.iterdir():
        program.chmod(0o755)
    shell = shutil.which("sh")
    assert shell

    def prepare(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [shell, ROOT / "tests/prepare.sh"], env={"PATH": str(bare), **environment}, capture_output=True, text=True, check=False
        )

    assert prepare().returncode == 0
    assert prepare(CI="true").returncode == 1
    assert "the tests that need it are left out" in prepare().stderr


def test_the_image_is_locked_and_not_root() -> None:
    lines = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes" in lines
    last_stage = lines.rpartition("\nFROM ")[2]
    assert "USER pfadwerk" in last_stage
    assert last_stage.index("USER pfadwerk") < last_stage.index("ENTRYPOINT")
    for source in re.findall(r"^COPY ([^-].*) \S+$", lines, re.MULTILINE):
        assert all((ROOT / name).exists() for name in source.split())


def image_of(name: str) -> str:
    """The image of a service where its variable is not set."""
    found = re.fullmatch(r"\$\{PFADWERK_\w*IMAGE:-(.+)\}", SERVICES[name]["image"])
    assert found, "images are named by a variable, so that they can be pinned by digest"
    return found[1]


def test_the_image_can_back_up_the_database_of_the_compose_file() -> None:
    """pg_dump refuses a server that is newer than itself."""
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    [client] = re.findall(r"postgresql-client-(\d+)", last_stage)
    assert re.fullmatch(rf"postgres:{client}(\..+)?", image_of("postgres"))
    assert last_stage.index("postgresql-client") < last_stage.index("USER pfadwerk")


def test_compose_starts_the_ui_of_the_temporal_server_it_starts() -> None:
    ui, server = SERVICES["temporal-ui"], SERVICES["temporal"]["healthcheck"]["test"][-1]
    host, port = ui["environment"]["TEMPORAL_ADDRESS"].split(":")
    assert host in SERVICES
    assert f":{port}" in server
    assert SERVICES["worker"]["environment"]["PFADWERK_TEMPORAL_ADDRESS"] == f"{host}:{port}"
    assert ui["depends_on"] == {"temporal": {"condition": "service_healthy"}}


def test_the_image_holds_every_room_and_nothing_else() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert allowed >= {*wheel["packages"], *wheel["include"], "pyproject.toml", "README.md", "LICENSE"}
    assert not allowed & {"tests", ".pfadwerk", ".env", ".git"}


COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

# The part of the Compose specification that the file uses: key -> the types its value may have.
# Source: compose-spec/compose-spec, schema/compose-spec.json.
SERVICE_KEYS: dict[str, tuple[type, ...]] = {
    "build": (str, dict),
    "cap_drop": (list,),
    "init": (bool,),
    "user": (str,),
    "command": (str, list),
    "configs": (list,),
    "depends_on": (list, dict),
    "environment": (list, dict),
    "healthcheck": (dict,),
    "image": (str,),
    "ports": (list,),
    "read_only": (bool,),
    "restart": (str,),
    "security_opt": (list,),
    "stop_grace_period": (str,),
    "tmpfs": (str, list),
    "volumes": (list,),
}
CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")


def test_the_compose_file_has_the_shape_of_the_specification() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} <= {"services", "volumes", "configs", "networks", "secrets", "name"}
    for name, service in SERVICES.items():
        assert set(service) <= set(SERVICE_KEYS), name
        for key, value in service.items():
            assert isinstance(value, SERVICE_KEYS[key]), f"{name}.{key}"
        assert set(service.get("healthcheck", {})) <= {"test", "interval", "timeout", "retries", "start_period", "disable"}
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert how["condition"] in CONDITIONS
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in COMPOSE["configs"]
        assert all(isinstance(value, str) for value in service["environment"].values()) if "environment" in service else True


def test_compose_has_every_part_and_the_one_off_step() -> None:
    assert set(SERVICES) == {"postgres", "temporal", "temporal-ui", "redis", "mailpit", "setup", "worker", "web"}
    assert [SERVICES[name]["command"] for name in ("setup", "worker", "web")] == [["setup"], ["worker"], ["api"]]
    assert SERVICES["setup"]["restart"] == "no"
    for name in ("worker", "web"):
        assert SERVICES[name]["depends_on"]["setup"] == {"condition": "service_completed_successfully"}


def test_compose_sets_only_settings_that_exist_and_they_can_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in SERVICES["worker"]["environment"].items():
        filled = re.sub(r"\$\{PFADWERK_SECRET_KEY:\?[^}]*\}", "k1:" + "x" * 32, value)
        filled = re.sub(r"\$\{PFADWERK_TRUSTED_PROXIES:\?[^}]*\}", '["172.30.7.1"]', filled)
        monkeypatch.setenv(name, re.sub(r"\$\{(\w+):\?[^}]*\}", "something", filled))
    settings = Settings.load(home=tmp_path)
    assert settings.database_url == "postgresql://pfadwerk_app:something@postgres:5432/pfadwerk"
    assert settings.smtp_host == "mailpit"


def test_compose_has_no_default_password_and_opens_nothing_to_the_world() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in re.findall(r"^ +\w*(?:PASSWORD|PWD|SECRET_KEY)\w*: *(\S.*)$", text, re.MULTILINE):
        assert re.match(r"\$\{\w+:\?.+\}", secret), secret
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", []))
    assert all(re.search(r":v?\d", image) or image == "pfadwerk:local" for image in map(image_of, SERVICES)), "images have versions"


# --- Documents ---


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages()
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert broken == []


def test_the_version_is_in_the_changelog_or_still_open() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## {PROJECT['project']['version']}" in text or "## Unreleased" in text


def test_decisions_are_numbered_once_and_are_short() -> None:
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [file.name[:3] for file in files]
    assert len(set(numbers)) == len(numbers), "several people write records at once, so numbers are given out and may come late"
    for file in files:
        assert file.read_text().startswith(f"# {file.name[:3]}: "), f"{file.name} begins with “# {file.name[:3]}: ”"
        assert len(file.read_text().splitlines()) <= 60, file.name


PARTS = ("**Question.**", "**Decision.**", "**Alternatives.**", "**Cost.**")
BEFORE_THE_TEMPLATE = 36


def test_decisions_have_the_parts_of_the_template() -> None:
    folder = ROOT / "docs" / "decisions"
    assert [part for part in PARTS if part not in (folder / "000-template.md").read_text()] == []
    records = [file for file in sorted(folder.glob("*.md")) if int(file.name[:3]) > BEFORE_THE_TEMPLATE]
    assert records
    lacking = {file.name: [part for part in PARTS[:3] if part not in file.read_text()] for file in records}
    assert {name: parts for name, parts in lacking.items() if parts} == {}


def test_no_file_names_a_machine_of_ours() -> None:
    """Absolute paths of a developer's machine, and private package hosts, tell strangers nothing and break for them."""
    pattern = re.compile(r"(?<![\w.])/(?:work|home/\w+|Users/\w+|root)/(?:main|shared|scratch|src|projects?)\b|find-links|index-url\s*=")
    found = [
        str(file.relative_to(ROOT))
        for file in our_files()
        if file != Path(__file__) and file.suffix in {".py", ".md", ".toml", ".sh", ".yml", ".yaml", ".lock", ".json", ""}
        if pattern.search(file.read_text(errors="replace"))
    ]
    assert found == []
