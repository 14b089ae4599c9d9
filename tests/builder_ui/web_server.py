"""One web server process of a town: `python web_server.py HOME DATABASE_URL PUBLIC_URL`, over the listening socket that is its standard input."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn

from api.app import create_app
from engine.clock import Clock
from engine.engine import Engine
from journeys.nodes import Palette
from models import Database
from settings import Settings


def main(home: str, database_url: str, public_url: str) -> None:
    settings = Settings(home=Path(home), database_url=database_url, public_url=public_url)
    engine = Engine(Database(database_url), Clock(), Palette.built_in(), tuple(settings.signing_keys().values()))
    config = uvicorn.Config(create_app(settings, engine), log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=0)])


if __name__ == "__main__":
    main(*sys.argv[1:])
