"""Damaged rows of the ledger: each costs its own trial or measurement, and nothing else of its study."""

import sqlite3
from contextlib import closing

import pytest
from ledgers import OBJECTIVES, SEARCH, VALUES, running
from steps import steps

from results.ledger import Ledger, LedgerError
from results.ledger_records import trials_from_columns
from results.outcome import Measurement, Outcome, trial_columns
from results.pareto import front

TRIALS = 6


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "l.db"
    with Ledger.open(path, create=True) as ledger, ledger.hold("digits"):
        ledger.create_study("digits", SEARCH, OBJECTIVES, {}, fidelities=["a"])
        for number in range(TRIALS):
            ledger.start_trial(running(number))
            for epoch in (1, 2):
                ledger.record_measurement("digits", number, Measurement(0, epoch, {"error": 0.5 / epoch}, 1.0))
            if number < TRIALS - 1:
                values = {**VALUES, "error": number / 10 + 0.1}
                ledger.finish_trial("digits", number, Outcome.COMPLETE, values=values, reason="done")
    return path


def change(place, statement, *values):
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute(statement, values)


def read(place):
    """All trials, and their summaries, which leave out what is long."""
    with Ledger.open(place, read_only=True) as ledger:
        return ledger.trials("digits"), ledger.summaries("digits")


def test_a_measurement_that_cannot_be_read_is_recorded_anew(place):
    """The trial goes on from its checkpoint, and its worker tells every epoch again."""
    change(place, "UPDATE measurements SET \"values\" = '{bro' WHERE number = ? AND epoch = 1", TRIALS - 1)
    again = Measurement(0, 1, {"error": 0.25}, 2.0)
    with Ledger.open(place) as ledger, ledger.hold("digits"):
        ledger.record_measurement("digits", TRIALS - 1, again)
        assert ledger.trial("digits", TRIALS - 1).measurements[0] == again
        with pytest.raises(LedgerError, match="already recorded with other values"):
            ledger.record_measurement("digits", TRIALS - 1, Measurement(0, 1, {"error": 0.5}, 2.0))


BAD = [
    "{bro",
    "null",
    "[1]",
    "3",
    "",
    "{},{}",
    '{"error": "low"}',
    '{"error": null}',
    '{"error": NaN}',
    "[" * 9999,
    b"\xff",
]


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:9]))
@pytest.mark.parametrize("field", ["values", "violations", "costs"])
def test_a_trial_of_which_it_is_not_known_how_good_it_is_counts_as_broken(place, field, text):
    before, _ = read(place)
    change(place, f'UPDATE trials SET "{field}" = ? WHERE number = 0', text)
    for trials, whole in zip(read(place), (True, False), strict=True):
        assert [trial.number for trial in trials] == list(range(TRIALS))
        if whole:
            assert trials[1:] == before[1:]
        damaged = trials[0]
        assert (damaged.outcome, damaged.values, getattr(damaged, field)) == (Outcome.BROKEN, {}, {})
        assert damaged.reason == f"was complete; its row in the ledger is damaged, and cannot be read in: {field}; done"
        assert damaged.unreadable == (field,)
        assert not damaged.feasible
        assert damaged.measurements == before[0].measurements
        assert [trial.number for trial in front(trials, OBJECTIVES).members] == [1]  # 0 was the best


@pytest.mark.parametrize("text", BAD[:6])
def test_a_trial_without_its_architecture_or_genes_keeps_its_results(place, text):
    change(place, "UPDATE trials SET architecture = ?, genes = ? WHERE number = 0", text, text if text else "{")
    (trial, *_), summaries = read(place)
    assert (trial.outcome, trial.values["error"], trial.architecture, trial.genes) == (Outcome.COMPLETE, 0.1, {}, None)
    unread = "architecture" if text == "null" else "architecture, genes"  # no genes: a seed outside of the space
    assert trial.reason == f"its row in the ledger is damaged, and cannot be read in: {unread}; done"
    assert [trial.number for trial in front(summaries, OBJECTIVES).members] == [0]


def test_a_text_of_which_a_bit_was_lost_costs_its_own_trial_or_measurement(place):
    before, _ = read(place)
    lost = "CAST(X'7B22FF7D' AS TEXT)"  # {"\\xff}: no UTF-8
    change(place, f'UPDATE trials SET "values" = {lost}, reason = {lost} WHERE number = 0')
    change(place, f'UPDATE measurements SET "values" = {lost} WHERE number = 1 AND epoch = 1')
    trials, _ = read(place)
    assert trials[0].unreadable == ("values",)
    assert trials[0].reason.endswith('cannot be read in: values; {"\\xff}')
    assert [each.epoch for each in trials[1].measurements] == [2]
    assert trials[2:] == before[2:]


@pytest.mark.parametrize("field", ["outcome", "origin"])
def test_an_unknown_word_counts_as_broken(place, field):
    change(place, f"UPDATE trials SET {field} = 'odd' WHERE number = 0")
    for trials in read(place):
        assert (trials[0].outcome, trials[0].values, trials[0].unreadable) == (Outcome.BROKEN, {}, (field,))
        assert f"cannot be read in: {field}" in trials[0].reason
        assert [trial.number for trial in front(trials, OBJECTIVES).members] == [1]


def test_a_trial_of_unknown_outcome_is_counted_selected_and_not_written_to(place):
    change(place, "UPDATE trials SET outcome = 'odd' WHERE number = 5")
    with Ledger.open(place) as ledger, ledger.hold("digits"):
        assert (ledger.count_outcomes("digits")["broken"], sum(ledger.count_outcomes("digits").values())) == (1, TRIALS)
        assert [trial.number for trial in ledger.trials("digits", Outcome.BROKEN)] == [5]
        with pytest.raises(LedgerError, match="trial 5 of study 'digits' is already odd"):
            ledger.record_measurement("digits", 5, Measurement(0, 3, {"error": 0.1}, 1.0))
        with pytest.raises(LedgerError, match="trial 5 of study 'digits' is already odd"):
            ledger.finish_trial("digits", 5, Outcome.DIVERGED)


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:9]))
def test_a_damaged_measurement_is_left_out(place, text):
    before, _ = read(place)
    change(place, 'UPDATE measurements SET "values" = ? WHERE number = 2 AND epoch = 1', text)
    trials, _ = read(place)
    assert [each.epoch for each in trials[2].measurements] == [2]
    assert trials[:2] + trials[3:] == before[:2] + before[3:]


@pytest.mark.parametrize("field", ["search", "objectives", "versions"])
def test_a_study_that_cannot_be_read_is_told_in_a_sentence(place, field):
    change(place, f"UPDATE studies SET {field} = '[1'")
    with Ledger.open(place) as ledger, ledger.hold("digits"):
        for ask in (ledger.studies, lambda: ledger.study("digits"), lambda: create(ledger)):
            with pytest.raises(LedgerError, match=f"study 'digits' cannot be read: its {field} in the ledger is dam"):
                ask()


def create(ledger):
    ledger.create_study("digits", SEARCH, OBJECTIVES, {})


@pytest.mark.parametrize("text", ["[", "3", '{"a": 1}'])
def test_damaged_fidelities_are_not_known(place, text):
    change(place, "UPDATE studies SET fidelities = ?", text)
    with Ledger.open(place, read_only=True) as ledger:
        assert ledger.study("digits").fidelities == ()
        assert ledger.known(running(0).digest, "a") == []


def test_a_column_without_damage_is_decoded_at_once():
    rows = [trial_columns(running(number)) for number in range(2000)]
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    work = steps(lambda: trials_from_columns("digits", columns, {}))
    columns["values"][7] = "{bro"
    assert work < 10 * len(rows)  # of a record its making alone
    assert work + len(rows) < steps(lambda: trials_from_columns("digits", columns, {}))
