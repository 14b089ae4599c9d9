"""The `pfadwerk` command: a thin list of the files in `commands/`, with their options.

Imports of commands stand inside the functions, so that `--help` and the start of a child process do not load what they do not need.
A command returns its exit code; errors of ours become one sentence on standard error (`run`).
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from commands.doctor import Finding
    from settings import Settings

OK, PROBLEMS, USAGE, UNAVAILABLE, CONFLICT, BUG, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 4, 70, 130, 141
"""Exit codes; documented in `docs/cli.md` and in `--help`."""
DEBUG = "--debug"


def language() -> str:
    """`de` or `en`: PFADWERK_LANGUAGE, else the locale of the terminal."""
    chosen = next((value for name in ("PFADWERK_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "en")
    return "de" if chosen.lower().startswith("de") else "en"


def _translator() -> Callable[[str], str]:
    if language() == "en":
        return str  # English sentences are the message ids; the catalogue need not be read
    from locales import translator

    return translator(language())


_ = _translator()
_RUNNING, _JOURNEYS, _WORKSPACE = _("Running"), _("Journeys"), _("Workspace")

app = typer.Typer(
    name="pfadwerk",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help=_("Customer journeys as durable workflows."),
    epilog=_(
        "Exit codes: 0 done · 1 problems were found · 2 wrong usage · 3 something cannot be reached or is not"
        " set up · 4 conflict with another change · 70 internal error · 130 interrupted. Settings are "
        "environment variables: docs/settings.md."
    ),
)
importing = typer.Typer(no_args_is_help=True, help=_("Import people."))
app.add_typer(importing, name="import", rich_help_panel=_WORKSPACE)
auditing = typer.Typer(no_args_is_help=True, help=_("The audit trail."))
app.add_typer(auditing, name="audit", rich_help_panel=_WORKSPACE)

Json = Annotated[bool, typer.Option("--json", help=_("Print JSON, for programs."))]
File = typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)


def _files_or_dash(files: list[Path]) -> list[Path]:
    """Files that are there; `-` is standard input."""
    for file in files:
        if str(file) != "-" and (not file.exists() or file.is_dir()):
            raise typer.BadParameter(_("there is no file {file}").format(file=file))
    return files


def _print_version(wanted: bool) -> None:
    """A callback of the option, because the one of the program is not called without a command."""
    if wanted:
        from importlib.metadata import version

        typer.echo(version("pfadwerk"))
        raise typer.Exit


@app.callback()
def _main(
    debug: Annotated[bool, typer.Option(DEBUG, help=_("Show a traceback with every error."))] = False,
    version: Annotated[bool, typer.Option("--version", help=_("Print the version."), is_eager=True, callback=_print_version)] = False,
) -> None:
    """Options of every command."""


# --- Running ---------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=_RUNNING, help=_("Start everything on this machine: Temporal, Redis, worker, web server. Ctrl-C stops it."))
def dev(
    demo: Annotated[bool, typer.Option(help=_("Fill an empty database with demo journeys and people."))] = True,
) -> int:
    from commands.dev import dev as start
    from commands.start import prepare, welcome

    return start(_settings(), welcome(_), prepare=prepare(demo, language()), translate=_)


@app.command(rich_help_panel=_RUNNING, help=_("Run one worker: steps, messages and repairs."))
def worker() -> int:
    from commands import lifeline

    lifeline.watch_parent()
    from commands.worker_main import worker_main

    return worker_main(_settings())


@app.command(rich_help_panel=_RUNNING, help=_("Run one web server: events, admin API and pages."))
def api() -> int:
    from commands import lifeline

    lifeline.watch_parent()
    from commands.api_main import api_main

    return api_main(_settings())


@app.command(rich_help_panel=_RUNNING, help=_("Prepare the database and Temporal for this version. Safe to repeat."))
def setup(as_json: Json = False) -> int:
    from commands.setup import setup as prepare

    done = prepare(_settings())
    if as_json:
        return _print(done.model_dump_json())
    return _print(_("Database and Temporal are ready for this version."))


@app.command(rich_help_panel=_RUNNING, help=_("Same as setup: bring an existing installation to this version."))
def upgrade(as_json: Json = False) -> int:
    return setup(as_json)


@app.command(rich_help_panel=_RUNNING, help=_("Check everything a start needs, and say what is wrong."))
def doctor(as_json: Json = False) -> int:
    import json

    from commands.doctor import doctor as look
    from commands.doctor import is_healthy

    findings = look(_settings())
    if as_json:
        _print(json.dumps([finding.model_dump() for finding in findings], indent=2))
    else:
        _print("\n".join(_finding(finding) for finding in findings))
    return OK if is_healthy(findings) else PROBLEMS


def _finding(finding: Finding) -> str:
    mark = {"good": "✓", "hint": "·", "bad": "✗"}[finding.state]
    return f"{mark} {finding.subject:<9} {finding.say(_)}"


@app.command(rich_help_panel=_RUNNING, help=_("Print a link that logs in once, for the first administrator."))
def login() -> int:
    from commands.start import login_link

    return _print(login_link(_settings()))


# --- Journeys ----------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=_JOURNEYS, help=_("List every problem of journey documents."))
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", callback=_files_or_dash)],
    as_json: Json = False,
) -> int:
    from commands.check import check as look

    return look(_settings(), files, out=sys.stdout, translate=_, as_json=as_json)


@app.command(rich_help_panel=_JOURNEYS, help=_("Walk one contact through a journey on a virtual clock, and show every decision."))
def simulate(
    journey: Annotated[str, typer.Argument(metavar="FILE|KEY", help=_("A file, or the key of a journey of the workspace or the gallery."))],
    script: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help=_("The contact, what they do, and what is expected (JSON)."))
    ] = None,
    contact: Annotated[str | None, typer.Option(metavar="EMAIL", help=_("Start with what is known about this contact."))] = None,
    as_json: Json = False,
) -> int:
    from commands.simulate import simulate as walk

    return walk(_settings(), journey, script=script, contact=contact, out=sys.stdout, translate=_, as_json=as_json)


@app.command(rich_help_panel=_JOURNEYS, help=_("Load journeys and their templates from files into the workspace, as drafts."))
def push(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", exists=True, help=_("Journeys, template folders, or folders of them."))],
    publish: Annotated[bool, typer.Option("--publish", help=_("Publish everything that has no errors."))] = False,
    force: Annotated[bool, typer.Option("--force", help=_("Overwrite what has been changed in the workspace since."))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_("Only show what would change."))] = False,
    as_json: Json = False,
) -> int:
    from commands.push import push as bring

    options = {"publish": publish, "force": force, "dry_run": dry_run, "as_json": as_json}
    return bring(_settings(), files, out=sys.stdout, translate=_, **options)


@app.command(rich_help_panel=_JOURNEYS, help=_("Write journeys and their templates into files, for git."))
def pull(
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY", help=_("Default: all that are not archived."))] = None,
    to: Annotated[Path, typer.Option(metavar="DIR", file_okay=False, help=_("The folder."))] = Path(),
    as_json: Json = False,
) -> int:
    from commands.pull import pull as fetch

    return fetch(_settings(), keys or [], to, out=sys.stdout, translate=_, as_json=as_json)


@app.command(rich_help_panel=_JOURNEYS, help=_("Replay recorded histories against this version, before it goes live."))
def replay(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)] = None,
    journey: Annotated[str | None, typer.Option(metavar="KEY", help=_("Without files: only runs of this journey."))] = None,
    last: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help=_("Without files: how many recent runs."))] = 20,
    save: Annotated[Path | None, typer.Option(metavar="DIR", file_okay=False, help=_("Keep the fetched histories as files."))] = None,
    as_json: Json = False,
) -> int:
    from commands.replay import replay as again

    return again(_settings(), files or [], journey=journey, last=last, save=save, out=sys.stdout, translate=_, as_json=as_json)


@app.command(rich_help_panel=_JOURNEYS, help=_("Run one benchmark of the folder bench, or all."))
def bench(
    name: Annotated[str | None, typer.Argument(metavar="NAME")] = None,
    quick: Annotated[bool, typer.Option("--quick", help=_("Each figure in under a minute: the same pairs, fewer rounds."))] = False,
    as_json: Json = False,
) -> int:
    from commands.bench import bench as measure

    return measure(name, out=sys.stdout, translate=_, as_json=as_json, quick=quick)


# --- Workspace ---------------------------------------------------------------------------------------------------------


@app.command(
    rich_help_panel=_WORKSPACE,
    help=_("Take in one mail from standard input: a bounce, a complaint or a reply. For a pipe of the mail server."),
)
def inbound(
    to: Annotated[str, typer.Option(metavar="ADDRESS", help=_("Whom the mail server took it for."))] = "",
    as_json: Json = False,
) -> int:
    from commands.inbound import inbound as take

    return take(_settings(), sys.stdin.buffer, to, out=sys.stdout, as_json=as_json)


@importing.command("contacts", help=_("Import a CSV file of contacts, with their consents. Goes on where it was interrupted."))
def import_contacts(
    file: Annotated[Path, File],
    column: Annotated[
        list[str] | None, typer.Option(metavar="HEADER=TARGET", help=_("What a column means if its header does not say."))
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help=_("Tag every contact in the file."))] = None,
    source: Annotated[str, typer.Option(help=_("Where the consents come from; the file's name if empty."))] = "",
    agreed: Annotated[
        list[str] | None,
        typer.Option(metavar="CHANNEL[:PURPOSE]", help=_("Everyone in the file agreed to this, unless their row says otherwise.")),
    ] = None,
    agreed_on: Annotated[str | None, typer.Option(metavar="DATE", help=_("The day they agreed (2026-03-01)."))] = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help=_("Which product exported the file, or none."))] = None,
    date_order: Annotated[str | None, typer.Option(metavar="dmy|mdy|ymd", help=_("Order of day, month and year."))] = None,
    decimal: Annotated[str | None, typer.Option(metavar=".|,", help=_("Decimal sign of numbers."))] = None,
    region: Annotated[str | None, typer.Option(metavar="CH", help=_("Country of phone numbers without a country code."))] = None,
    zone: Annotated[str | None, typer.Option(metavar="ZONE", help=_("Time zone of times that name none; UTC if not given."))] = None,
    empty: Annotated[
        str | None, typer.Option(metavar="leave|clear", help=_("Whether an empty cell leaves its field or clears it."))
    ] = None,
    encoding: Annotated[str | None, typer.Option(help=_("Encoding of the file."))] = None,
    separator: Annotated[str | None, typer.Option(help=_("Separator between cells: comma, semicolon, tab or pipe."))] = None,
    header_line: Annotated[int | None, typer.Option(help=_("Line with the column names; 0 for none."))] = None,
    footer_rows: Annotated[int | None, typer.Option(help=_("How many lines at the end are not rows."))] = None,
    choices: Annotated[Path | None, typer.Option(metavar="FILE", help=_("A file with all of these choices."))] = None,
    preview: Annotated[bool, typer.Option("--preview", help=_("Show how the file is read and what its first rows become."))] = False,
    wake: Annotated[bool, typer.Option("--wake", help=_("Let imported contacts start journeys."))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_("Dry run: write nothing."))] = False,
    as_json: Json = False,
) -> int:
    from commands import import_contacts as importer
    from commands.workspace import engine

    reading = {
        "date_order": date_order, "decimal": decimal, "region": region, "zone": zone, "empty": empty, "encoding": encoding,
        "separator": separator, "header_line": header_line, "footer_rows": footer_rows, "recipe": recipe,
    }  # fmt: skip
    said = importer.Said(column or (), tag or (), source, agreed or (), agreed_on, choices, reading)
    with engine(_settings()) as live:
        options = importer.options_of(said, wake=wake, dry_run=dry_run, keys=live.address_keys)
        if preview:
            return importer.preview(live.db, file, live.clock.now(), options, out=sys.stdout, translate=_, as_json=as_json)
        return importer.import_contacts(live.db, file, live.clock.now, options, out=sys.stdout, translate=_, as_json=as_json)


@auditing.command("check", help=_("Verify the audit trail. Exits with 1 if a line was changed, inserted or removed."))
def check_audit(
    head: Annotated[
        str, typer.Option("--head", metavar="NUMBER:SEAL", help=_("A head from a log; shows whether lines have been cut off since."))
    ] = "",
    as_json: Json = False,
) -> int:
    from commands.check_audit import check_audit as look

    return look(_settings(), head, out=sys.stdout, translate=_, as_json=as_json)


@app.command(
    rich_help_panel=_WORKSPACE, help=_("Rebuild the workflow of every open run, after Temporal's data was lost or a backup was restored.")
)
def recover(as_json: Json = False) -> int:
    from commands.recover import recover as bring_back

    return bring_back(_settings(), out=sys.stdout, translate=_, as_json=as_json)


@app.command(rich_help_panel=_WORKSPACE, help=_("Write the database and the signing key into one file, even while everything is running."))
def backup(file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False)], as_json: Json = False) -> int:
    from commands.backup import backup as write

    manifest = write(_settings(), file)
    if as_json:
        return _print(manifest.model_dump_json(indent=2))
    size = sum(part.bytes for part in manifest.parts.values())
    return _print(
        _("Wrote {file} ({size} bytes inside). It contains personal data and keys: protect it like the database.").format(
            file=file, size=size
        )
    )


@app.command(rich_help_panel=_WORKSPACE, help=_("Restore a backup; the current data is moved aside."))
def restore(
    file: Annotated[Path, File],
    assume: Annotated[
        str, typer.Option(metavar="sent|unsent|ask", help=_("How to treat messages that may have been sent after the backup was made."))
    ] = "ask",
    until: Annotated[datetime | None, typer.Option(help=_("When the last worker and web server stopped (UTC); default: now."))] = None,
    as_json: Json = False,
) -> int:
    from commands.backup import restore as put_back
    from commands.restores import assumption

    done = put_back(_settings(), file, assume=assumption(assume), until=until.replace(tzinfo=UTC) if until else None)
    if as_json:
        return _print(done.model_dump_json(indent=2))
    for kept in done.kept:
        _print(_("Moved aside: {file}").format(file=kept))
    made, end = (f"{at:%Y-%m-%d %H:%M} UTC" for at in (done.manifest.created_at, done.until))
    said = {
        "sent": _("What may have been sent between {made} and {end} counts as sent."),
        "unsent": _("What may have been sent between {made} and {end} is sent, perhaps a second time; `pfadwerk restores` counts it."),
        "ask": _("What may have been sent between {made} and {end} is waiting for a decision: `pfadwerk restores`, or the Messages page."),
    }
    _print(said[done.assume].format(made=made, end=end))
    return _print(_("The backup of {made} is restored. Start Pfadwerk, then run `pfadwerk recover`.").format(made=made))


@app.command(rich_help_panel=_WORKSPACE, help=_("List what may have been sent before a backup was restored, or decide on all of it."))
def restores(
    assume: Annotated[str | None, typer.Option(metavar="sent|unsent|ask", help=_("Decide on the latest restore."))] = None,
    as_json: Json = False,
) -> int:
    from commands import restores as listing

    settings = _settings()
    if assume is not None:
        listing.decide(settings, listing.assumption(assume))
    return listing.tell(settings, out=sys.stdout, translate=_, as_json=as_json)


# --- Running a command -------------------------------------------------------------------------------------------------


def _settings() -> Settings:
    from settings import Settings

    return Settings.load()


def _print(text: str) -> int:
    sys.stdout.write(text + "\n")
    return OK


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; the exit code. `--debug` may stand anywhere on it."""
    debug = DEBUG in arguments
    try:
        code = app(args=[argument for argument in arguments if argument != DEBUG], standalone_mode=False, prog_name="pfadwerk")
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - the last place where anything can still be told in a sentence
        if debug and not isinstance(error, SystemExit):
            import traceback

            traceback.print_exc()
        return _failed(error)
    return code if isinstance(code, int) else OK


def _failed(error: BaseException) -> int:
    """Says in one sentence what is wrong; the exit code."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):  # typer makes an exit of it
        _forget_output()
        return BROKEN_PIPE
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else PROBLEMS
    if isinstance(error, _usage_errors()):
        return _complain(_usage(error), USAGE)
    return _told(error)


def _told(error: BaseException) -> int:
    from journeys.errors import PfadwerkError

    if isinstance(error, PfadwerkError):
        return _complain(_sentences(error), _code_of(error))
    if type(error).__module__.startswith("sqlalchemy.") and hasattr(error, "orig"):
        return _complain(
            _("The database does not answer ({error}). Check PFADWERK_DATABASE_URL.").format(error=type(error.orig).__name__), UNAVAILABLE
        )
    if isinstance(error, OSError) and error.filename is not None:
        return _complain(f"{error.filename}: {error.strerror}", UNAVAILABLE)
    text = _("Internal error ({error}). Run it again with --debug and report the output.")
    return _complain(text.format(error=type(error).__name__), BUG)


def _sentences(error: Any) -> str:
    """The error, and every problem that it lists, with its place."""
    issues = getattr(error, "issues", [])
    places = (".".join(part for part in (issue.node_id, issue.field) if part) for issue in issues)
    lines = [f"  {place}: {issue.say(_)}" if place else f"  {issue.say(_)}" for issue, place in zip(issues, places, strict=True)]
    return "\n".join([error.say(_), *lines])


def _code_of(error: Any) -> int:
    from journeys.errors import Misconfigured

    if isinstance(error, Misconfigured):
        return UNAVAILABLE
    return {409: CONFLICT, 404: PROBLEMS, 413: PROBLEMS, 422: PROBLEMS}.get(error.status, UNAVAILABLE)


def _usage_errors() -> type[BaseException]:
    return next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    hint = _("See: {command} --help").format(command=context.command_path if context else "pfadwerk")
    return f"{error.format_message()}\n{hint}"


def _complain(text: str, code: int) -> int:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.write(_as_line(text) + "\n")
    return code


def _as_line(text: str) -> str:
    """A sentence for people; from a process whose lines are collected as JSON a line of that kind."""
    command = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")
    if command not in ("worker", "api") or os.environ.get("PFADWERK_LOG_FORMAT") != "json":
        return f"pfadwerk: {text}"
    from commands.logs import sentence

    return sentence(text, command)


def _forget_output() -> None:
    """The reader is gone: what Python would flush at the end must not fail again."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())


SHARED = frozenset({"pull"})
"""Commands that write into a folder of the person's own. What all others make (state, logs, backups) is readable by its owner alone."""


def main() -> NoReturn:
    """The console script. The Temporal SDK's threads would hold up the end of the interpreter, so it ends hard once all is written."""
    gc.set_threshold(50_000, 20, 100)  # what is imported stays; looking through it again and again costs a tenth of the start
    if SHARED.isdisjoint(sys.argv[1:]):
        os.umask(0o077)
    code = run(sys.argv[1:])
    with contextlib.suppress(BrokenPipeError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    if "temporalio" in sys.modules:
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
