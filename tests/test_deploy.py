"""What deployment files promise: roles of the database on a real PostgreSQL, images by digest, manifests that fit the program."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from api.app import create_app
from api.worker_port import WorkerMetrics, WorkerPort
from commands.api_main import STOP_SECONDS, refuse_unnamed_proxy
from commands.backup import backup
from commands.doctor import doctor
from crm import jobs
from crm.imports import uploads
from crm.privacy import erasure_rest
from crm.privacy.erasure import erase_person
from journeys.errors import Misconfigured
from models import Database, Job, Upload
from models.migrate import check, upgrade
from settings import PREFIX, Settings
from tests import postgres
from tests.api.conftest import TestClient
from tests.engine.conftest import REFERENCE, World
from tests.engine.conftest import build as build_world
from workspace import audit

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "examples" / "kubernetes" / "pfadwerk.yaml").read_text()))
KEYS = (b"k" * 32,)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PASSWORDS = {f"{role}_password": f"{role}-pw" for role in ("owner", "app", "backup", "temporal")}


# Roles of the database


@pytest.fixture(scope="module")
def roles() -> Iterator[str]:
    """A server of our own, since roles belong to all databases of one; `HOST:PORT`. The file is run as the compose file runs it."""
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as url:
        place = url.rpartition("@")[2]
        host, _, port = place.partition(":")
        asked = [word for name, value in PASSWORDS.items() for word in ("--set", f"{name}={value}")]
        folder = postgres.binaries()
        assert folder is not None
        server = [folder / "psql", "-h", host, "-p", port, "-U", "pfadwerk", "-d", "postgres", "--set", "ON_ERROR_STOP=1"]
        subprocess.run([*server, *asked, "--file", ROOT / "deploy" / "roles.sql"], check=True, capture_output=True)
        upgrade(of("pfadwerk_owner", place))
        yield place


def of(role: str, place: str, database: str = "pfadwerk") -> str:
    return f"postgresql://{role}@{place}/{database}"


@pytest.mark.parametrize("role", ["pfadwerk_app", "pfadwerk_backup"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "ALTER TABLE contact ADD COLUMN mine int",
        "DROP TABLE contact",
        "TRUNCATE contact CASCADE",
        "CREATE INDEX mine ON contact (email)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "COPY contact TO PROGRAM 'cat'",
    ],
)
def test_neither_program_nor_backup_changes_tables(roles: str, role: str, statement: str) -> None:
    with psycopg.connect(of(role, roles), autocommit=True) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(statement)
    assert isinstance(refused.value, psycopg.errors.InsufficientPrivilege | psycopg.errors.ReadOnlySqlTransaction)


def test_the_backup_reads_and_writes_nothing(roles: str) -> None:
    with psycopg.connect(of("pfadwerk_backup", roles), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM contact").fetchone() is not None
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM contact")


@pytest.mark.parametrize(
    ("role", "database"),
    [
        ("temporal", "pfadwerk"),
        ("pfadwerk_app", "temporal"),
        ("pfadwerk_app", "temporal_visibility"),
        ("pfadwerk_backup", "temporal"),
        ("pfadwerk_owner", "temporal"),
    ],
)
def test_each_stays_in_its_own_database(roles: str, role: str, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(of(role, roles, database))


def test_temporal_makes_its_own_tables(roles: str) -> None:
    for database in ("temporal", "temporal_visibility"):
        with psycopg.connect(of("temporal", roles, database)) as connection:
            connection.execute("CREATE TABLE mine (id int)")


def test_none_of_the_roles_is_a_superuser(roles: str) -> None:
    with psycopg.connect(of("pfadwerk", roles, "postgres")) as connection:
        rows = connection.execute(
            "SELECT rolname, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls, rolpassword IS NOT NULL "
            "FROM pg_authid WHERE rolname LIKE 'pfadwerk\\_%' OR rolname = 'temporal' ORDER BY 1"
        ).fetchall()
    assert rows == [(name, False, True) for name in ("pfadwerk_app", "pfadwerk_backup", "pfadwerk_owner", "temporal")]


@pytest.fixture
def world(roles: str) -> Iterator[World]:
    db = Database(of("pfadwerk_app", roles), pool_size=5)
    audit.bind(db, KEYS)
    yield build_world(db)
    db.close()


def test_a_day_of_the_program_needs_no_more_than_its_role(world: World, roles: str, tmp_path: Path) -> None:
    """Start, event, run to its end, a file, an erasure with its job, and the web server's probes."""
    check(of("pfadwerk_app", roles))
    world.publish(dict(REFERENCE, settings={"message_class": "transactional"}))
    who = world.contact(first_name="Ada", last_name="Lovelace")
    run = world.run(world.happens(who, "Signed Up"))
    world.walk(run)
    assert world.performer.received
    with world.db.write() as session:
        content = b"email,name\nada@example.org,Ada Lovelace\n"
        uploads.take(session, uploads.read_sent("people.csv", content), "m1", world.now, world.now)
    job_id = erase_person(world.db, who, world.now, by="m1", keys=KEYS).job_id
    with world.db.read() as session:
        job = session.get_one(Job, job_id)
    while job.state == "running":
        erasure_rest.prepare(world.db, job, KEYS)
        with world.db.write() as session:
            held = jobs.locked(session, job.id)
            assert held is not None
            done = erasure_rest.page(session, held, world.now, KEYS)
            held.cursor = done.cursor
            if done.finished:
                jobs.end(held, "done", world.now)
            session.add(held)
        job = held
    with world.db.read() as session:
        assert session.query(Upload).count() == 0
    settings = Settings(home=tmp_path, database_url=of("pfadwerk_app", roles), secret_key="k1:" + "x" * 32)
    with TestClient(create_app(settings, world.engine)) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/ready").json()["database"] == "up"


def test_the_backup_role_backs_up(roles: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=of("pfadwerk_backup", roles), secret_key="k1:" + "x" * 32)
    assert backup(settings, tmp_path / "copy.tar.gz").dialect == "postgresql"


def test_a_start_and_the_doctor_refuse_a_role_that_may_not_write(roles: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="role pfadwerk_backup cannot write"):
        check(of("pfadwerk_backup", roles))
    settings = Settings(home=tmp_path, database_url=of("pfadwerk_backup", roles), secret_key="k1:" + "x" * 32)
    [found] = [one for one in doctor(settings) if one.subject == "database"]
    assert (found.state, "role pfadwerk_backup cannot write" in found.message) == ("bad", True)


# The proxy


@pytest.mark.parametrize(
    ("url", "proxies", "good"),
    [("https://j.example", [], False), ("https://j.example", ["10.0.0.5"], True), ("http://j.example", [], True)],
)
def test_behind_https_a_proxy_is_named(tmp_path: Path, url: str, proxies: list[str], good: bool) -> None:
    settings = Settings(home=tmp_path, public_url=url, trusted_proxies=proxies)
    if good:
        refuse_unnamed_proxy(settings)
        return
    with pytest.raises(Misconfigured, match="PFADWERK_TRUSTED_PROXIES"):
        refuse_unnamed_proxy(settings)


# The compose file


SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WRITES_ITS_CONFIGURATION = {"temporal", "temporal-ui"}
"""Images that fill in templates beside their programs when they start."""


def test_every_container_is_without_rights() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name not in WRITES_ITS_CONFIGURATION:
            assert service["read_only"] is True, name
            assert service["user"].partition(":")[0] not in ("root", "0"), name
        if name not in {"setup", "temporal-ui"}:
            assert "healthcheck" in service, name


def test_each_service_has_the_role_it_needs() -> None:
    used = {
        name: SERVICES[name]["environment"]["PFADWERK_DATABASE_URL"].partition("//")[2].partition(":")[0]
        for name in ("setup", "worker", "web")
    }
    assert used == {"setup": "pfadwerk_owner", "worker": "pfadwerk_app", "web": "pfadwerk_app"}
    assert SERVICES["temporal"]["environment"]["POSTGRES_USER"] == "temporal"
    assert SERVICES["temporal"]["environment"]["SKIP_DB_CREATE"] == "true"
    variables = {
        name: re.findall(r"\$\{(\w+):\?", str(service["environment"])) for name, service in SERVICES.items() if "environment" in service
    }
    assert [name for name, found in variables.items() if "POSTGRES_PASSWORD" in found] == ["postgres"], "the superuser is nobody's"
    script = COMPOSE["configs"]["roles-init"]["content"]
    assert set(re.findall(r"--set (\w+_password)=", script)) == set(PASSWORDS)
    assert set(re.findall(r":'(\w+)'", (ROOT / "deploy" / "roles.sql").read_text())) == set(PASSWORDS)
    assert (ROOT / COMPOSE["configs"]["roles"]["file"]).exists()


def test_the_proxy_is_asked_for() -> None:
    asked = SERVICES["web"]["environment"]["PFADWERK_TRUSTED_PROXIES"]
    assert asked.startswith("${PFADWERK_TRUSTED_PROXIES:?")
    [net] = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert f'["{net["gateway"]}"]' in asked


def test_images_are_pinned_by_a_command(tmp_path: Path) -> None:
    """Against a `docker` that answers as buildx does; what is no digest ends it and prints nothing."""
    images = sorted({*re.findall(r"\$\{PFADWERK_\w*IMAGE:-([^}]*)\}", (ROOT / "docker-compose.yml").read_text())} - {"pfadwerk:local"})
    for answer, good in ((f"sha256:{'a' * 64}", True), ("sha256:short", False), ("", False)):
        docker = tmp_path / "docker"
        docker.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho "{answer}"\n')
        docker.chmod(0o755)
        done = subprocess.run(
            ["sh", ROOT / "deploy" / "pin-images", ROOT / "docker-compose.yml", ROOT / "Dockerfile"],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) is good, done.stderr
        lines = done.stdout.split()
        assert sorted(line.partition("=")[2] for line in lines) == ([f"{image}@{answer}" for image in images] if good else [])
    assert all(f"imagetools inspect --format {{{{.Manifest.Digest}}}} {image}" in (tmp_path / "asked").read_text() for image in images)


# The manifests


def pods() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Name of the workload -> (pod, its container)."""
    specs = {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in MANIFESTS if one["kind"] in ("Deployment", "Job")}
    return {name: (pod, *pod["containers"]) for name, pod in specs.items()}


def config() -> dict[str, str]:
    return next(dict(one["data"]) for one in MANIFESTS if one["kind"] == "ConfigMap")


def test_manifests_set_only_settings_that_exist_and_they_can_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    given = dict(config())
    for _, container in pods().values():
        given |= {one["name"]: {"PFADWERK_SECRET_KEY": "k1:" + "x" * 32}.get(one["name"], "something") for one in container["env"]}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load(home=tmp_path)
    refuse_unnamed_proxy(settings)
    assert settings.host == "0.0.0.0"


def test_no_password_stands_in_a_manifest() -> None:
    assert all(one["kind"] != "Secret" for one in MANIFESTS)
    for _, container in pods().values():
        assert all(set(one["valueFrom"]) == {"secretKeyRef"} for one in container["env"])
    secret = re.compile(r"KEY|PASSWORD|TOKEN|DATABASE_URL|REDIS_URL")
    assert [name for name in config() if secret.search(name)] == []


async def never() -> bool:
    return False


def test_probes_ask_for_what_the_program_answers(sqlite_db: Database, tmp_path: Path) -> None:
    from worker import build_engine

    settings = Settings(home=tmp_path, database_url=sqlite_db.url, secret_key="k1:" + "x" * 32)
    engine = build_engine(settings, sqlite_db, [])
    own = WorkerPort(engine, WorkerMetrics(engine), temporal_is_up=never, token="", core_port=0).app()
    paths = {
        name: {getattr(route, "path", "") for route in app.routes}
        for name, app in (("http", create_app(settings, engine)), ("metrics", own))
    }
    ports = {"http": int(config()["PFADWERK_PORT"]), "metrics": int(config()["PFADWERK_METRICS_PORT"])}
    for name, (_, container) in pods().items():
        named = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        assert named.items() <= ports.items()
        probes = [container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe") if kind in container]
        assert all(probe["path"] in paths[probe["port"]] and probe["port"] in named for probe in probes)
        wanted = [] if name == "pfadwerk-setup" else ["/health", "/health", "/ready"]
        assert [probe["path"] for probe in probes] == wanted
    for service, port in (("worker", config()["PFADWERK_METRICS_PORT"]), ("web", config()["PFADWERK_PORT"])):
        assert f"http://127.0.0.1:{port}/ready" in SERVICES[service]["healthcheck"]["test"][-1]
    opened = {
        port["port"]
        for one in MANIFESTS
        if one["metadata"]["name"] == "pfadwerk-in"
        for rule in one["spec"]["ingress"]
        for port in rule["ports"]
    }
    assert opened == set(ports.values())


def test_every_pod_is_without_rights() -> None:
    for name, (pod, container) in pods().items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, "variables of services would be settings that do not exist"
        security = container["securityContext"]
        assert (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"], security["capabilities"]) == (
            False,
            True,
            {"drop": ["ALL"]},
        )
        assert {"requests", "limits"} <= set(container["resources"]), name
        mounts, volumes = {one["name"] for one in container["volumeMounts"]}, {one["name"] for one in pod["volumes"]}
        assert mounts == volumes


def test_a_pod_has_more_time_to_stop_than_the_program_takes() -> None:
    web, worker = pods()["pfadwerk-web"][0], pods()["pfadwerk-worker"][0]
    pause = int(web["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert web["terminationGracePeriodSeconds"] >= pause + STOP_SECONDS + 10
    assert timedelta(seconds=worker["terminationGracePeriodSeconds"]) >= Settings().graceful_shutdown + timedelta(seconds=15)
    stops = re.fullmatch(r"(\d+)s", SERVICES["worker"]["stop_grace_period"])
    assert stops
    assert timedelta(seconds=int(stops[1])) > Settings().graceful_shutdown


def test_what_selects_finds_what_is_there() -> None:
    labels = {
        name: one["spec"]["template"]["metadata"]["labels"]
        for one in MANIFESTS
        if one["kind"] == "Deployment"
        for name in [one["metadata"]["name"]]
    }
    for one in MANIFESTS:
        kind, spec = one["kind"], one.get("spec", {})
        if kind == "HorizontalPodAutoscaler":
            assert spec["scaleTargetRef"]["name"] in labels
            assert spec["minReplicas"] >= 2
        elif kind in ("Service", "PodDisruptionBudget"):
            selector = spec["selector"].get("matchLabels", spec["selector"])
            assert any(selector.items() <= found.items() for found in labels.values()), one["metadata"]["name"]
        elif kind == "NetworkPolicy" and spec["podSelector"]:
            assert all(spec["podSelector"]["matchLabels"].items() <= found.items() for found in labels.values())
