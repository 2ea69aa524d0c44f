"""The ledger on a server: its URL and its secrets, what the server says, restarts, drivers beside each other."""

import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from ledgers import OBJECTIVES, SEARCH, VALUES, running
from servers import PASSWORD, USER, new_server

from results import ledger_postgresql
from results.ledger import Ledger, LedgerError
from results.outcome import Measurement, Outcome

ROOT = Path(__file__).resolve().parents[1]
SECRETS = (PASSWORD, PASSWORD.replace("/", "%2F"), "s3cret")


@pytest.fixture
def ledger(postgresql):
    with Ledger.open(postgresql, create=True) as opened:
        opened.create_study("digits", SEARCH, OBJECTIVES, {}, "data-1")
        yield opened


# Places


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nas:s3cret%zz@127.0.0.1/db",
        "postgresql://nas:s3 s3cret@127.0.0.1/db",
        "postgresql://nas:s3cret@[::1/db",
        "postgresql://nas:s3cret@x@127.0.0.1/db",
        "postgresql://nas:s3cret/x@127.0.0.1/db",
        "postgresql://127.0.0.1/db?pasword=s3cret",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_and_not_repeated(url):
    with pytest.raises(LedgerError, match="the ledger's URL cannot be read: postgresql://USER@HOST") as raised:
        Ledger.open(url)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://nas:s3cret@h/db", "begins with 'mysql' and is of no known kind: postgresql://"),
        ("sqlite://ledger.db", "names no file: sqlite:///FILE"),
        ("sqlite:///", "names no file"),
        ("sqlite:///a.db?mode=ro", "only on_network=yes is allowed"),
    ],
)
def test_a_url_of_another_kind_is_refused(url, sentence):
    with pytest.raises(LedgerError, match=sentence) as raised:
        Ledger.open(url, create=True)
    assert "s3cret" not in str(raised.value)


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"needs the package psycopg: pip install 'inception-nas\[postgresql\]'$"):
        Ledger.open("postgresql://127.0.0.1/db")


def test_what_the_server_refuses_is_one_sentence(postgresql_server):
    for url, sentence in [
        (postgresql_server.url(password="s3cret"), r"refuses the user or the password.*\(28P01\)"),
        (postgresql_server.url(user="nobody"), r"refuses the user or the password.*\(28P01\)"),
        (postgresql_server.url("nowhere"), r"is no database of that server: .*createdb.*\(3D000\)"),
        (postgresql_server.url(options="?options=-csearch_path%3Dnowhere"), r"has no schema.*\(3F000\)"),
        ("postgresql://nas:s3cret@127.0.0.1:9/db", "cannot be reached: check that the server runs.*refused"),
        ("postgresql://nas:s3cret@127.0.0.1:x9/db", "cannot be reached: check that the server runs.*invalid"),
    ]:
        with pytest.raises(LedgerError, match=f"^the ledger postgresql://.* {sentence}") as raised:
            Ledger.open(url, create=True)
        assert "\n" not in str(raised.value)
        assert not [secret for secret in SECRETS if secret in str(raised.value)]


def test_a_password_is_neither_told_nor_stored(ledger, postgresql):
    assert ledger.name.startswith("postgresql://nas@127.0.0.1:")
    assert ledger.name.endswith("/postgres")
    ledger.start_trial(running(0))
    with ledger.hold("digits"), closing(psycopg.connect(postgresql)) as connection:
        tables = ("studies", "trials", "measurements", "leases", "inception_nas_ledger")
        rows = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
    assert "digits" in str(rows)
    assert not [secret for secret in SECRETS if secret in str(rows)]


def test_a_user_who_may_only_read_can_read(ledger, postgresql, postgresql_server):
    schema = postgresql.rpartition("%3D")[2]
    postgresql_server.execute(
        "CREATE ROLE reader LOGIN PASSWORD 's3cret'",
        f"GRANT USAGE ON SCHEMA {schema} TO reader",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader",
    )
    try:
        url = postgresql_server.url(user="reader", password="s3cret", options=f"?options=-csearch_path%3D{schema}")
        with Ledger.open(url, read_only=True) as reader:
            assert reader.study("digits").search == SEARCH
        with pytest.raises(LedgerError, match=r"may not be used so by this user: grant it .*\(42501\)"):
            Ledger.open(url)
    finally:
        postgresql_server.execute("DROP OWNED BY reader", "DROP ROLE reader")


def test_other_tables_and_newer_ledgers_are_left_alone(postgresql):
    with pytest.raises(LedgerError, match="is empty, not a ledger"):
        Ledger.open(postgresql)
    with closing(psycopg.connect(postgresql, autocommit=True)) as connection:
        connection.execute("CREATE TABLE trials (x int)")
        for options in ({}, {"create": True}, {"read_only": True}):
            with pytest.raises(LedgerError, match="is a database but not a ledger"):
                Ledger.open(postgresql, **options)
        connection.execute("DROP TABLE trials")
        Ledger.open(postgresql, create=True).close()
        connection.execute("UPDATE inception_nas_ledger SET version = 7")
    for options in ({}, {"create": True}, {"read_only": True}):
        with pytest.raises(LedgerError, match="version 7, and this program reads versions up to 2: update"):
            Ledger.open(postgresql, **options)


# Transactions


def test_commits_are_durable_on_a_server_that_may_lose_some(ledger, postgresql, postgresql_server):
    postgresql_server.execute("ALTER DATABASE postgres SET synchronous_commit = off")
    try:
        with Ledger.open(postgresql) as other:
            asked = "SELECT current_setting('synchronous_commit')"
            with other._reading() as connection:
                assert connection.exec_driver_sql(asked).scalar() == "off"
            with other._writing("digits") as connection:
                assert connection.exec_driver_sql(asked).scalar() == "on"
    finally:
        postgresql_server.execute("ALTER DATABASE postgres RESET synchronous_commit")


def test_what_is_read_is_one_moment(ledger, postgresql):
    ledger.start_trial(running(0))
    with Ledger.open(postgresql, read_only=True) as reader, reader._reading() as connection:
        count = "SELECT count(*) FROM trials"
        assert connection.exec_driver_sql(count).scalar() == 1
        ledger.start_trial(running(1))
        assert connection.exec_driver_sql(count).scalar() == 1


def test_writers_of_one_study_wait_for_each_other_and_those_of_others_do_not(ledger, postgresql, monkeypatch):
    ledger.create_study("other", SEARCH, OBJECTIVES, {})
    monkeypatch.setattr(ledger_postgresql, "_LOCK_SECONDS", 0.05)
    with Ledger.open(postgresql) as second, ledger._writing("digits"):
        second.start_trial(running(0, study="other"))
        with pytest.raises(LedgerError, match=r"was locked by another program .*\(55P03\)"):
            second.start_trial(running(0))
    ledger.start_trial(running(0))


def test_drivers_in_processes_of_their_own_write_their_studies_at_once(postgresql):
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from ledgers import *
from results.ledger import Ledger, Measurement, Outcome
study = sys.argv[2]
with Ledger.open(sys.argv[1], create=True) as ledger, ledger.hold(study):
    ledger.create_study(study, SEARCH, OBJECTIVES, {{}}, fidelities=["f0"])
    for number in range(10):
        ledger.start_trial(running(number, study=study))
        ledger.record_measurement(study, number, Measurement(0, 1, {{"error": 0.5}}, 1.0))
        ledger.finish_trial(study, number, Outcome.COMPLETE, values=VALUES)
"""
    command = [sys.executable, "-c", code, postgresql]
    drivers = [subprocess.Popen([*command, f"study-{number}"]) for number in range(4)]
    assert [driver.wait(60) for driver in drivers] == [0] * 4
    with Ledger.open(postgresql, read_only=True) as reader:
        assert sorted(record.name for record in reader.studies()) == [f"study-{number}" for number in range(4)]
        assert all(reader.count_outcomes(record.name)["complete"] == 10 for record in reader.studies())
        assert len(reader.known(running(3).digest, "f0")) == 4


# The server's own troubles


def test_connections_that_were_cut_are_made_anew(ledger, postgresql_server):
    ledger.start_trial(running(0))
    postgresql_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'inception-nas'"
    )
    ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES)
    assert ledger.trial("digits", 0).outcome is Outcome.COMPLETE


def test_a_cut_in_the_midst_of_a_transaction_is_one_sentence_and_records_nothing(ledger, postgresql_server):
    def cut_and_write():
        with ledger._writing("digits") as connection:
            connection.exec_driver_sql("UPDATE studies SET state = 'stopped'")
            postgresql_server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'inception-nas'"
            )
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(LedgerError, match=r"the ledger postgresql://.* (was shut down|lost its connection)"):
        cut_and_write()
    assert ledger.study("digits").state == "running"


def test_a_server_that_is_started_anew_is_waited_for_and_has_lost_nothing(monkeypatch):
    with new_server(run=False) as server:
        with server.running():
            ledger = Ledger.open(server.url(), create=True)
            ledger.create_study("digits", SEARCH, OBJECTIVES, {})
            ledger.start_trial(running(0))
        measured = Measurement(0, 1, {"error": 0.5}, 1.0)
        writing = threading.Thread(target=ledger.record_measurement, args=("digits", 0, measured))
        writing.start()  # while the server is away
        writing.join(0.7)
        assert writing.is_alive()
        with server.running():
            writing.join(30)
            assert ledger.trial("digits", 0).measurements == (measured,)
        monkeypatch.setattr(ledger_postgresql, "_RETURN_SECONDS", 0.1)
        with pytest.raises(LedgerError, match=f"the ledger postgresql://{USER}@127.0.0.1:.* cannot be reached"):
            ledger.trials("digits")
        ledger.close()
