"""The ledger's tables, and how those of an older version become the present ones."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from results.outcome import LedgerError

SCHEMA_VERSION = 2


def _texts(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=nullable) for name in names]


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False)


def _since(version: int, name: str, kind: type[sa.Text] | type[sa.Integer], old: int | None) -> sa.Column[Any]:
    """A column that came with a version; `old`: what it is in rows from before (None: nothing)."""
    default = None if old is None else str(old)
    info = {"since": version, "old": old}
    return sa.Column(name, kind, nullable=old is None, server_default=default, info=info)


# Mappings are kept as JSON text of our own making: its canonical form and the refusal of NaN are ours to fix.
TABLES = sa.MetaData()
version_table = sa.Table("inception_nas_ledger", TABLES, _key("version"))
studies = sa.Table(
    "studies",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    *_texts("created_at", "search", "search_digest", "objectives", "state", "versions"),
    *_texts("data_digest", nullable=True),
    _since(2, "fidelities", sa.Text, None),
)
trials = sa.Table(
    "trials",
    TABLES,
    sa.Column("study_id", sa.ForeignKey("studies.id"), primary_key=True),
    _key("number"),
    # The outcome stands before the long columns: counting does not read them.
    *_texts("outcome", "digest", "origin", "architecture", "costs", "reason", "violations", "values", "started_at"),
    *_texts("seed", "genes", "finished_at", "artifact", "traceback", nullable=True),
    sa.Column("seconds", sa.Float),
    _since(2, "reused", sa.Text, None),
    _since(2, "order", sa.Integer, 0),
    sa.Index("trials_by_outcome", "study_id", "outcome"),
    sa.Index("trials_by_digest", "digest"),
)
measurements = sa.Table(
    "measurements",
    TABLES,
    *(_key(name) for name in ("study_id", "number", "rung", "epoch")),
    *_texts("values"),
    sa.Column("seconds", sa.Float, nullable=False),
    _since(2, "order", sa.Integer, 0),
    sa.ForeignKeyConstraint(["study_id", "number"], ["trials.study_id", "trials.number"]),
)

# By name, not by key: a study is held before it is recorded. An epoch is never given twice.
leases = sa.Table(
    "leases",
    TABLES,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("beats", sa.Integer, nullable=False),
    *_texts("holder", nullable=True),
)

# From each version to the next; written out, since what they start from does not change with the tables above.
_MIGRATIONS = {
    1: (
        "ALTER TABLE studies ADD COLUMN fidelities TEXT",
        "ALTER TABLE trials ADD COLUMN reused TEXT",
        "ALTER TABLE trials ADD COLUMN \"order\" INTEGER DEFAULT '0' NOT NULL",
        "ALTER TABLE measurements ADD COLUMN \"order\" INTEGER DEFAULT '0' NOT NULL",
        "CREATE INDEX trials_by_digest ON trials (digest)",
        "CREATE TABLE leases (study TEXT NOT NULL, epoch INTEGER NOT NULL, beats INTEGER NOT NULL, holder TEXT, "
        "PRIMARY KEY (study))",
    ),
}


def schema_version(connection: sa.Connection, name: str) -> int | None:
    """The version of the ledger, None where there is nothing; LedgerError if this program cannot use it."""
    tables = sa.inspect(connection).get_table_names()
    if not tables:
        return None
    if version_table.name not in tables:
        raise LedgerError(f"{name} is a database but not a ledger: choose another")
    version = connection.execute(sa.select(version_table.c.version)).scalar_one()
    if version > SCHEMA_VERSION:
        raise LedgerError(
            f"the ledger {name} is of version {version}, and this program reads versions up to {SCHEMA_VERSION}: "
            "update inception-nas"
        )
    return int(version)


def migrate(connection: sa.Connection, version: int) -> None:
    """Bring tables of an older version to the present one, rows and all, within the caller's transaction."""
    for step in range(version, SCHEMA_VERSION):
        for statement in _MIGRATIONS[step]:
            connection.exec_driver_sql(statement)
    connection.execute(version_table.update().values(version=SCHEMA_VERSION))


def columns_of(table: sa.Table, version: int) -> list[sa.ColumnElement[Any]]:
    """All columns of a table to select from a ledger of a version; those that came later as what they would be."""
    return [
        column if column.info.get("since", 1) <= version else sa.literal(column.info["old"]).label(column.name)
        for column in table.c
    ]
