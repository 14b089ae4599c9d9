"""The command line as a whole: what it says, what it loads, and how it ends."""

from __future__ import annotations

import inspect
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

import cli
from locales import translator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text()
HEAVY = ("pydantic", "sqlalchemy", "temporalio", "fastapi", "alembic", "babel", "rich")


def program(*arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )  # type: ignore[call-overload,no-any-return]


def commands(app: typer.Typer = cli.app, before: str = "") -> dict[str, object]:
    """`name` or `group name` -> the function."""
    own = {f"{before}{info.name or info.callback.__name__}": info.callback for info in app.registered_commands}
    for group in app.registered_groups:
        own |= commands(group.typer_instance, f"{group.name} ")
    return own


def options(function: object) -> set[str]:
    """The long options of a command, as they are typed."""
    said = set()
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        for extra in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(extra, typer.models.OptionInfo):
                declared = [word for word in (extra.default, *(extra.param_decls or ())) if isinstance(word, str) and word.startswith("--")]
                said |= set(declared) or {f"--{name.replace('_', '-')}"}
    return said


def test_help_lists_every_command_and_the_exit_codes(run):
    ran = run("--help")
    assert ran.code == 0
    for name in commands():
        assert re.search(rf"│ {name.split()[0]} ", ran.out), name
    for code in ("0 done", "1 problems", "2 wrong usage", "3 something", "4 conflict", "130 interrupted"):
        assert code in re.sub(r"\s+", " ", ran.out)


def test_the_version_needs_no_command(run):
    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"{version('pfadwerk')}\n")


def test_the_program_starts_without_loading_what_it_does_not_need():
    code = f"import sys, cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    environment = {**os.environ, "PFADWERK_LANGUAGE": "en"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("command", "code"), [("check", 1), ("simulate", 1)])
def test_a_file_alone_is_looked_at_without_database_server_or_pages(clean, command, code):
    """Nothing of what only others need is loaded; that is what makes it quick."""
    clean.mkdir()
    (clean / "journey.json").write_text('{"spec": 1}')
    names = ("sqlalchemy", "alembic", "temporalio", "fastapi", "reactpy", "jinja2", "redis", "css_inline")
    program = f"import sys, cli; print(cli.run([{command!r}, {str(clean / 'journey.json')!r}]), [n for n in {names!r} if n in sys.modules])"
    environment = {**os.environ, "PFADWERK_LANGUAGE": "en"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{code} []", done.stderr


@pytest.mark.parametrize("name", sorted(commands()))
def test_the_page_documents_every_command_with_its_options(name):
    section = re.search(rf"^## `pfadwerk {name}\b.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, f"docs/cli.md has no section on {name}"
    for option in options(commands()[name]):
        assert f"`{option}" in section[0], f"docs/cli.md does not say what {name} {option} does"


def test_the_page_documents_nothing_that_is_not_there():
    assert set(re.findall(r"^## `pfadwerk ((?:import |audit )?[a-z]+)", PAGE, re.MULTILINE)) == set(commands())


@pytest.mark.parametrize(
    "code", [cli.OK, cli.PROBLEMS, cli.USAGE, cli.UNAVAILABLE, cli.CONFLICT, cli.BUG, cli.INTERRUPTED, cli.BROKEN_PIPE]
)
def test_the_page_documents_every_exit_code(code):
    assert re.search(rf"^\| {code} \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["check"], ["check", "no-such-file.json"], ["replay", "--last", "many"], ["--nonsense"], ["backup"]]
)
def test_wrong_usage_is_2_and_points_to_help(run, arguments):
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "--help" in ran.err


@pytest.mark.parametrize("arguments", [["recover"], ["pull"], ["import", "contacts", __file__], ["replay"], ["setup"]])
def test_what_is_not_there_is_3_and_one_sentence(run, monkeypatch, arguments):
    monkeypatch.setenv("PFADWERK_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    ran = run(*arguments)
    assert ran.code == 3
    assert ran.err.startswith("pfadwerk: ")
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_wrong_setting_is_3_and_names_it(run, monkeypatch):
    monkeypatch.setenv("PFADWERK_PORTT", "1")
    ran = run("doctor")
    assert ran.code == 3
    assert "PFADWERK_PORTT" in ran.err
    assert "PFADWERK_PORT?" in ran.err


@pytest.mark.parametrize("arguments", [["--debug", "pull"], ["pull", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(run, arguments):
    ran = run(*arguments)
    assert ran.code == 3
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1].startswith("pfadwerk: There is no database")


def test_looking_makes_no_database(run, clean):
    run("pull")
    assert not (clean / "pfadwerk.db").exists()


def test_a_fault_of_ours_is_70_and_asks_for_a_report(run, monkeypatch):
    class Broken(io.StringIO):
        @property
        def buffer(self):
            raise ZeroDivisionError

    monkeypatch.setattr(sys, "stdin", Broken())
    ran = run("check", "-")
    assert ran.code == 70
    assert "ZeroDivisionError" in ran.err
    assert "--debug" in ran.err


def test_ctrl_c_is_130_and_silent(run, monkeypatch):
    class Interrupted(io.StringIO):
        @property
        def buffer(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Interrupted())
    ran = run("check", "-")
    assert (ran.code, ran.err) == (130, "")


def test_a_reader_that_goes_away_is_no_fault(clean):
    child = program("simulate", "welcome", "--json")
    assert child.stdout
    child.stdout.close()
    assert child.wait(60) == cli.BROKEN_PIPE
    assert child.stderr
    assert child.stderr.read() == ""
    child.stderr.close()


def test_sigint_ends_a_real_program_with_130(clean, tmp_path):
    fifo = tmp_path / "never-ending.json"
    os.mkfifo(fifo)
    child = program("check", str(fifo), preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    with fifo.open("w"):  # returns when the program has opened it for reading
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == cli.INTERRUPTED
    for stream in (child.stdout, child.stderr):
        assert stream
        assert stream.read() == ""
        stream.close()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "de_CH.UTF-8"}, "de"),
        ({"LANG": "de_CH.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "C", "PFADWERK_LANGUAGE": "de"}, "de"),
    ],
)
def test_the_language_is_that_of_the_terminal(monkeypatch, environment, expected):
    for name in ("PFADWERK_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cli.language() == expected


def test_doctor_tells_and_prints_json(run):
    ran = run("doctor", "--json")
    findings = json.loads(ran.out)
    assert {"python", "database", "redis"} <= {finding["subject"] for finding in findings}
    assert ran.code == (1 if any(finding["state"] == "bad" for finding in findings) else 0)


def test_backup_and_restore(run, demo, tmp_path):
    file = tmp_path / "copy.tar.gz"
    ran = run("backup", file)
    assert ran.code == 0
    assert str(file) in ran.out
    (demo / "write_key").unlink()
    done = run("restore", file, "--json")
    assert done.code == 0
    assert json.loads(done.out)["manifest"]["dialect"] == "sqlite"
    assert run("restore", __file__).code == 1


def test_import_contacts(run, demo, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("email,first_name\nzoe@example.org,Zoe\nbroken,Nobody\n")
    ran = run("import", "contacts", file, "--json", "--tag", "fair")
    assert ran.code == 1, "one row has a problem"
    report = json.loads(ran.out)
    assert (report["ok"], report["failed"]) == (1, 1)


def test_login_prints_a_link(run, demo):
    ran = run("login")
    assert ran.code == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/login/[\w-]{40,}\n", ran.out)


def test_bench_names_what_there_is(run):
    ran = run("bench", "compil")
    assert ran.code == 1
    assert "did you mean compil" in ran.err


def in_german(*arguments: object, **environment: str) -> tuple[int, str, str]:
    """(exit code, output, errors) in a German terminal."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    child = program(*map(str, arguments), env={**inherited, "LANG": "de_DE.UTF-8", **environment})
    said, errors = child.communicate(timeout=60)
    return child.returncode, said, errors


def test_errors_are_german_in_a_german_terminal(clean, tmp_path):
    code, _, errors = in_german("pull")
    assert code == cli.UNAVAILABLE
    assert errors == (
        f"pfadwerk: Unter {clean / 'pfadwerk.db'} gibt es keine Datenbank. "
        "Führen Sie `pfadwerk setup` aus oder prüfen Sie PFADWERK_DATABASE_URL und PFADWERK_HOME.\n"
    )
    (tmp_path / "unknown.json").write_text('{"key": "j", "name": "J", "nodez": []}')
    code, _, errors = in_german("simulate", tmp_path / "unknown.json")
    assert code == cli.PROBLEMS
    assert "Fehler der Journey" in errors
    assert "\n  nodez: Dieses Feld gibt es nicht." in errors


def test_a_used_port_and_a_wrong_setting_are_told_in_german(clean):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, errors = in_german("api", PFADWERK_HOST="127.0.0.1", PFADWERK_PORT=str(port))
    assert code == cli.UNAVAILABLE
    assert errors.startswith(f"pfadwerk: Port {port} auf 127.0.0.1 ist belegt. Beenden Sie")
    code, _, errors = in_german("doctor", PFADWERK_PORTT="1", PFADWERK_TIME_ZONE="Europe/Berln")
    assert code == cli.UNAVAILABLE
    assert "nicht PFADWERK_PORTT; meinten Sie PFADWERK_PORT?" in errors
    code, _, errors = in_german("doctor", PFADWERK_TIME_ZONE="Europe/Berln", PFADWERK_PORT="99999")
    assert "PFADWERK_TIME_ZONE: erwartet wird eine IANA-Zeitzone" in errors
    assert "meinten Sie Europe/Berlin?" in errors
    assert "PFADWERK_PORT: Darf höchstens 65535 sein." in errors


def test_json_stays_for_programs_in_a_german_terminal(clean, tmp_path):
    (tmp_path / "broken.json").write_text("{")
    code, said, errors = in_german("check", "--json", tmp_path / "broken.json")
    assert (code, errors) == (cli.PROBLEMS, "")
    (issue,) = json.loads(said)["files"][0]["issues"]
    assert (issue["code"], issue["values"]) == ("unreadable", {"line": 1, "column": 2})
    code, said, errors = in_german("pull", "--json")
    assert (code, said) == (cli.UNAVAILABLE, "")
    assert errors.startswith("pfadwerk: ")


def test_it_speaks_german(clean):
    child = program("doctor", env={**os.environ, "PFADWERK_LANGUAGE": "de"})
    said, _ = child.communicate(timeout=60)
    english = "There is no database at {file} yet; the first start creates it"
    german = translator("de")(english)
    assert german != english
    assert german.format(file=clean / "pfadwerk.db") in said
