"""Programs that `test_dev.py` runs: the supervisor on a folder, and children that do no work but live as ours do."""

import signal
import socket
import sys
import threading

from commands.dev import dev
from commands.lifeline import announce_ready, watch_parent
from journeys.errors import PfadwerkError
from settings import Settings


def supervisor() -> int:
    children = {name: [sys.executable, "-u", __file__, name] for name in ("worker", "web")}
    if len(sys.argv) > 2:
        children["worker"] = [sys.executable, "-u", __file__, sys.argv[2]]
    try:
        return dev(Settings.load(), on_ready=lambda settings: f"{settings.public_url}/login", prepare=lambda _: None, children=children)
    except PfadwerkError as error:
        print(f"{type(error).__name__}: {error}")
        return 3


def worker() -> int:
    watch_parent()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print("worker works")
    announce_ready()
    ended.wait()
    (Settings.load().home / "worker-ended-in-order").touch()
    print("worker ended in order")
    return 0


def deaf() -> int:
    """A worker that does not react to SIGTERM."""
    watch_parent(grace_seconds=0.5)
    signal.signal(signal.SIGTERM, lambda *_: None)
    announce_ready()
    while True:
        threading.Event().wait(60)


def broken() -> int:
    print("no such template")
    return 7


def web() -> int:
    watch_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.create_server(("127.0.0.1", Settings.load().port)) as server:
        while True:
            server.accept()[0].close()


if __name__ == "__main__":
    sys.exit({"supervisor": supervisor, "worker": worker, "deaf": deaf, "broken": broken, "web": web}[sys.argv[1]]())
