"""Finding the two server programs, and starting the real ones."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from temporalio.service import __version__ as sdk_version

from commands import servers
from commands.process import ServerFailed


def script(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def no_network(folder: Path) -> Path:
    raise RuntimeError("no route to host")


def test_both_programs_are_found_here() -> None:
    for binary in (servers.temporal_binary(), servers.redis_binary()):
        assert binary.is_absolute()
        assert os.access(binary, os.X_OK)


def test_without_any_temporal_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(servers.MissingBinary, match=r"no route to host.*Install the Temporal CLI, or set PFADWERK_TEMPORAL_ADDRESS"):
        servers.temporal_binary(tmp_path, search=[], download=no_network)


def test_a_temporal_that_was_downloaded_once_serves_again(tmp_path: Path) -> None:
    kept = script(tmp_path / f"temporal-sdk-python-{sdk_version}", "exit 0")
    assert servers.temporal_binary(tmp_path, search=[], download=no_network) == kept


def test_temporal_is_downloaded_where_there_is_none(tmp_path: Path) -> None:
    assert servers.temporal_binary(tmp_path / "new", search=[], download=lambda folder: folder / "fetched") == tmp_path / "new" / "fetched"


def test_the_redis_on_path_comes_first(tmp_path: Path) -> None:
    newer = script(tmp_path / "redis-server", "echo 'Redis server v=7.2.4 sha=0 malloc=libc'")
    assert servers.redis_binary(search=[str(tmp_path)]) == newer


@pytest.mark.parametrize("version", ["Redis server v=5.0.14 sha=0", "garbage"])
def test_an_old_redis_is_named_if_there_is_no_other(tmp_path: Path, version: str) -> None:
    script(tmp_path / "redis-server", f"echo '{version}'")
    with pytest.raises(servers.MissingBinary, match=r"is older than 6\.0.*Install Redis"):
        servers.redis_binary(search=[str(tmp_path)], package="no_such_package")


def test_without_any_redis_the_sentence_says_what_to_do() -> None:
    with pytest.raises(servers.MissingBinary, match=r"no `redis-server` is on PATH.*or set PFADWERK_REDIS_URL"):
        servers.redis_binary(search=[], package="no_such_package")


def temporal_cli(address: str, *arguments: str) -> str:
    command = [servers.temporal_binary(), *arguments, "--address", address, "--namespace", "pfadwerk"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_temporal_is_usable_when_it_is_ready_and_keeps_its_state_over_a_kill(tmp_path: Path) -> None:
    with servers.start_temporal(tmp_path) as temporal:
        start = ["workflow", "start", "--type", "Nothing", "--task-queue", "nobody", "--search-attribute", 'PfadwerkJourney="welcome"']
        temporal_cli(temporal.address, *start, "--workflow-id", "first")
        temporal.kill()
    with servers.start_temporal(tmp_path) as temporal:
        assert '"status": "WORKFLOW_EXECUTION_STATUS_RUNNING"' in temporal_cli(
            temporal.address, "workflow", "describe", "-w", "first", "-o", "json"
        )


def test_redis_answers_and_keeps_its_state(tmp_path: Path) -> None:
    import redis

    with servers.start_redis(tmp_path) as server, redis.Redis.from_url(f"redis://{server.address}/0") as client:
        client.set("counter", 7)
    with servers.start_redis(tmp_path) as server, redis.Redis.from_url(f"redis://{server.address}/0") as client:
        assert client.get("counter") == b"7"


def test_the_servers_listen_on_loopback_only_and_write_nothing_outside_their_folder(tmp_path: Path) -> None:
    program = servers.redis_program(tmp_path, 1, binary=Path("redis-server"))
    assert list(program.command)[1:3] == ["--bind", "127.0.0.1"]
    program = servers.temporal_program(tmp_path, 1, namespaces=["a", "b"], binary=Path("temporal"))
    assert list(program.command).count("--namespace") == 2
    assert str(tmp_path / "temporal.db") in program.command


def test_a_server_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    with servers.start_redis(tmp_path / "one") as server:
        port = int(server.address.rpartition(":")[2])
        with pytest.raises(ServerFailed, match=f"Port {port} on 127.0.0.1 is in use"):
            servers.start_redis(tmp_path / "two", port=port)


def test_a_server_that_cannot_start_shows_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "appendonly.aof").write_text("no append-only file")
    with pytest.raises(ServerFailed, match=r"(?s)redis ended with code 1.*Bad file format"):
        servers.start_redis(tmp_path)


def test_where_every_port_is_taken_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "is_free", lambda _port: False)
    with pytest.raises(ServerFailed, match="No free port was found"):
        servers.free_port()


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    server = servers.start_redis(tmp_path)
    assert server.stop() == 0
    assert server.stop() == 0
    assert not server.is_alive()
    assert stat.S_ISREG((tmp_path / "redis.log").stat().st_mode)
