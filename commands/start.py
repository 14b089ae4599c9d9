"""What `pfadwerk dev` does besides starting processes: the schema, the demo, and what it tells whoever started it."""

from __future__ import annotations

from collections.abc import Callable

from settings import Settings

Translate = Callable[[str], str]


def prepare(demo: bool, language: str = "en") -> Callable[[Settings], None]:
    """What runs before worker and web server start. `language`: of the demo."""

    def prepare_workspace(settings: Settings) -> None:
        from commands.dev import migrate

        migrate(settings)
        if demo:
            from commands.demo import prepare_demo

            prepare_demo(settings, language)

    return prepare_workspace


def login_link(settings: Settings) -> str:
    """A link that logs the first administrator in once."""
    from api.auth.login import mint_link
    from commands.workspace import engine

    with engine(settings) as live:
        return mint_link(live.db, live.clock.real_now(), settings.public_url)


def welcome(translate: Translate) -> Callable[[Settings], str]:
    """What is printed when everything is up: the link, and a line to paste that starts a run."""

    def say(settings: Settings) -> str:
        from commands.demo import start_runs

        start_runs(settings)
        return "\n".join([login_link(settings), *_first_run(settings, translate)])

    return say


def _first_run(settings: Settings, translate: Translate) -> list[str]:
    from commands.demo import WRITE_KEY_FILE, has_write_key

    if not has_write_key(settings.home):
        return []
    said = translate("A new contact for the welcome journey, to paste into another terminal (more in README.md):")
    return ["", f"  {said}", "", _CURL.format(key=settings.home / WRITE_KEY_FILE, url=settings.public_url)]


_CURL = """\
  curl -u "$(cat {key}):" {url}/v1/identify -d '{{"userId": "robin",
    "traits": {{"email": "robin@example.org", "first_name": "Robin", "consents": {{"email": "granted"}}}}}}'"""
