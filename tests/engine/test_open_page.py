"""The open runs of a version are found in the order of their ids by an index of their own, however many have ended."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, text

from engine.versions import migrate


def test_a_page_of_open_runs_goes_by_its_index(world: Any) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    if world.db.engine.dialect.name == "postgresql":
        with world.db.write() as session:  # a table that is known to be empty may be read by any index
            session.execute(text("UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE oid = 'run'::regclass"))
    with world.db.read() as session:
        event.listen(world.db.engine, "before_cursor_execute", note)
        migrate.open_page(session, "j", 1, "", 100)
        event.remove(world.db.engine, "before_cursor_execute", note)
        [(statement, parameters)] = [one for one in asked if "FROM run" in one[0]]
        explain = "EXPLAIN QUERY PLAN " if session.get_bind().dialect.name == "sqlite" else "EXPLAIN "
        if explain == "EXPLAIN ":
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_sort = off"))
        plan = session.connection().exec_driver_sql(explain + statement, parameters).all()
    said = str(plan)
    assert "ix_run_version_open" in said
    assert "Sort" not in said
    assert "TEMP B-TREE" not in said
