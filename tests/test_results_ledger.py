"""The ledger, in a file and on a server: what is recorded, read back, refused; whole and durable."""

import json
import logging
import math
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import OBJECTIVES, SEARCH, VALUES, running, together

from results.ledger import Known, Ledger, LedgerError, StudyMismatch
from results.outcome import Measurement, Outcome, TrialRecord

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def ledger(place):
    with Ledger.open(place, create=True) as opened:
        opened.create_study("digits", SEARCH, OBJECTIVES, {"torch": "2.13.0"}, "data-1")
        yield opened


# Studies


def test_a_study_is_kept_as_it_was_given(ledger):
    study = ledger.study("digits")
    assert study.search == SEARCH
    assert list(study.search) == list(SEARCH)
    assert study.objectives == OBJECTIVES
    assert (study.state, study.versions, study.data_digest) == ("running", {"torch": "2.13.0"}, "data-1")
    assert study.created_at.endswith("+00:00")
    assert ledger.studies() == [study]


def test_the_digest_does_not_depend_on_the_order_of_keys(ledger):
    ledger.start_trial(running(0))
    again = ledger.create_study("digits", dict(reversed(SEARCH.items())), OBJECTIVES, {"torch": "9"}, "data-1")
    assert again == ledger.study("digits")
    assert again.versions == {"torch": "2.13.0"}
    other = ledger.create_study("other", SEARCH, OBJECTIVES, {})
    assert other.search_digest == again.search_digest
    assert [study.name for study in ledger.studies()] == ["digits", "other"]


def test_a_study_can_be_extended_by_what_may_differ(ledger):
    ledger.start_trial(running(0))
    before = ledger.study("digits")
    longer = SEARCH | {"trials": 48, "executor": {"kind": "inline"}}
    with pytest.raises(StudyMismatch, match=r"executor.kind"):
        ledger.create_study("digits", longer, OBJECTIVES, {})
    assert ledger.study("digits") == before
    after = ledger.create_study("digits", longer, OBJECTIVES, {}, may_differ={"trials", "executor"})
    assert after.search == longer
    assert after.search_digest != before.search_digest
    assert after.data_digest == "data-1"
    assert ledger.study("digits") == after


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (SEARCH | {"training": {"epochs": [2, 9]}}, "training.epochs [2, 8], and now training.epochs is [2, 9]"),
        (SEARCH | {"new": "x"}, 'new not set, and now new is "x"'),
        ({k: v for k, v in SEARCH.items() if k != "executor"}, 'executor.kind "ray", and now executor.kind is not set'),
    ],
)
def test_a_different_search_names_the_first_key_that_differs(ledger, search, found):
    ledger.start_trial(running(0))
    before = ledger.study("digits")
    with pytest.raises(StudyMismatch) as raised:
        ledger.create_study("digits", search, OBJECTIVES, {})
    assert found in str(raised.value)
    assert "choose another study name, or restore" in str(raised.value)
    assert ledger.study("digits") == before


def test_a_study_without_a_trial_takes_another_search_file(ledger):
    begun, other = ledger.begun("digits"), SEARCH | {"space": "wider"}
    taken = ledger.create_study("digits", other, {"error": "minimize"}, {"torch": "9"}, "data-2", fidelities=["f1"])
    assert taken == ledger.study("digits")
    assert (taken.search, taken.objectives, taken.versions) == (other, {"error": "minimize"}, {"torch": "9"})
    assert (taken.data_digest, taken.fidelities) == ("data-2", ("f1",))
    assert ledger.begun("digits") == begun
    ledger.start_trial(running(0))
    with pytest.raises(StudyMismatch):
        ledger.create_study("digits", SEARCH, OBJECTIVES, {}, "data-1")


def test_other_objectives_or_other_data_are_another_study(ledger):
    ledger.start_trial(running(0))
    with pytest.raises(StudyMismatch, match=r"objectives\.macs"):
        ledger.create_study("digits", SEARCH, {"error": "minimize"}, {})
    with pytest.raises(StudyMismatch, match='data_digest "data-1", and now data_digest is "data-2"'):
        ledger.create_study("digits", SEARCH, OBJECTIVES, {}, "data-2")
    changed = ledger.create_study("digits", SEARCH, OBJECTIVES, {}, "data-2", may_differ=["data_digest"])
    assert changed.data_digest == ledger.study("digits").data_digest == "data-2"


def test_an_unknown_study_is_answered_with_the_nearest_names(ledger):
    ledger.create_study("imagenet", SEARCH, OBJECTIVES, {})
    with pytest.raises(LedgerError, match="no study 'digist': the ledger has imagenet, digits; did you mean 'digits'"):
        ledger.study("digist")
    with pytest.raises(LedgerError, match=r"no study 'zzz': the ledger has imagenet, digits$"):
        ledger.trials("zzz")
    with pytest.raises(LedgerError, match="no study"):
        ledger.study("\udcff\x00")


def test_the_state_of_a_study(ledger):
    ledger.set_state("digits", "complete")
    assert ledger.study("digits").state == "complete"
    assert ledger.create_study("digits", SEARCH, OBJECTIVES, {}).state == "complete"
    with pytest.raises(LedgerError, match="'done' is not one of running, stopped, complete"):
        ledger.set_state("digits", "done")


@pytest.mark.parametrize(
    ("name", "objectives", "found"),
    [("", OBJECTIVES, "needs a name"), ("a", {}, "no objective"), ("a", {"error": "min"}, "minimize or maximize")],
)
def test_a_study_needs_a_name_and_objectives(ledger, name, objectives, found):
    with pytest.raises(LedgerError, match=found):
        ledger.create_study(name, SEARCH, objectives, {})
    assert len(ledger.studies()) == 1


# Trials


def test_the_life_of_a_trial(ledger):
    start = running(0, seed="inception-v3", origin="seed", genes=None)
    ledger.start_trial(start)
    assert ledger.trials("digits") == [start]
    first, second = Measurement(0, 1, {"error": 0.5}, 1.5), Measurement(1, 1, {"error": 0.4}, 3.0)
    ledger.record_measurement("digits", 0, second)
    ledger.record_measurement("digits", 0, first)
    ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES, seconds=4.5, artifact="digits/0.safetensors")
    trial = ledger.trial("digits", 0)
    assert trial.finished_at >= trial.started_at
    assert trial == replace(
        start,
        outcome=Outcome.COMPLETE,
        values=VALUES,
        measurements=(first, second),
        seconds=4.5,
        artifact="digits/0.safetensors",
        finished_at=trial.finished_at,
    )


@pytest.mark.parametrize("outcome", [Outcome.SCREENED, Outcome.DUPLICATE])
def test_a_trial_that_is_never_trained_is_final_at_once(ledger, outcome):
    ledger.start_trial(running(0, outcome=outcome, reason="macs over 6 G", violations={"macs": 0.2}))
    trial = ledger.trial("digits", 0)
    assert (trial.outcome, trial.reason, trial.violations) == (outcome, "macs over 6 G", {"macs": 0.2})
    assert trial.finished_at == trial.started_at
    with pytest.raises(LedgerError, match=f"already {outcome}"):
        ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES)


def test_a_number_is_given_once_per_study(ledger):
    ledger.start_trial(running(4))
    with pytest.raises(LedgerError, match="trial 4 of study 'digits' is already in the ledger"):
        ledger.start_trial(running(4, digest="other"))
    assert ledger.trial("digits", 4) == running(4, started_at=ledger.trial("digits", 4).started_at)
    ledger.create_study("other", SEARCH, OBJECTIVES, {})
    ledger.start_trial(running(4, study="other"))
    assert len(ledger.trials("digits")) == len(ledger.trials("other")) == 1


def test_a_finished_trial_does_not_change(ledger):
    ledger.start_trial(running(0))
    end = {"reason": "loss is nan at epoch 3", "seconds": 2.0, "traceback": "a\nb"}
    ledger.finish_trial("digits", 0, Outcome.DIVERGED, **end)
    before = ledger.trial("digits", 0)
    ledger.finish_trial("digits", 0, Outcome.DIVERGED, **end)
    for outcome, other in [(Outcome.BROKEN, end), (Outcome.DIVERGED, end | {"reason": "x"}), (Outcome.DIVERGED, {})]:
        with pytest.raises(LedgerError, match="already diverged"):
            ledger.finish_trial("digits", 0, outcome, **other)
    with pytest.raises(LedgerError, match="already diverged"):
        ledger.record_measurement("digits", 0, Measurement(0, 9, {"error": 1.0}, 1.0))
    assert ledger.trial("digits", 0) == before


def test_the_order_of_values_does_not_matter_when_a_result_comes_twice(ledger):
    ledger.start_trial(running(0))
    ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES)
    ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=dict(reversed(VALUES.items())))
    assert ledger.trial("digits", 0).values == VALUES


def test_an_epoch_is_recorded_once(ledger):
    ledger.start_trial(running(0))
    first, other = Measurement(0, 1, {"error": 0.5, "loss": 2.0}, 1.0), Measurement(0, 1, {"error": 0.4}, 1.25)
    for measurement in (first, first):
        ledger.record_measurement("digits", 0, measurement)
    with pytest.raises(LedgerError, match="epoch 1 at rung 0 of trial 0 of study 'digits' is already recorded with"):
        ledger.record_measurement("digits", 0, other)
    ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES)
    ledger.record_measurement("digits", 0, first)
    assert ledger.trial("digits", 0).measurements == (first,)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_what_is_not_finite_is_never_stored(ledger, number):
    ledger.start_trial(running(0))
    before = ledger.trials("digits")
    calls = [
        lambda: ledger.start_trial(running(1, violations={"macs": number})),
        lambda: ledger.start_trial(running(1, genes={"width": number})),
        lambda: ledger.start_trial(running(1, architecture={"width": [number]})),
        lambda: ledger.record_measurement("digits", 0, Measurement(0, 1, {"error": number}, 1.0)),
        lambda: ledger.record_measurement("digits", 0, Measurement(0, 1, {}, number)),
        lambda: ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES | {"error": number}),
        lambda: ledger.finish_trial("digits", 0, Outcome.BROKEN, seconds=number),
        lambda: ledger.create_study("other", {"rate": number}, OBJECTIVES, {}),
    ]
    for call in calls:
        with pytest.raises(LedgerError, match="finite"):
            call()
    assert ledger.trials("digits") == before
    assert len(ledger.studies()) == 1


def test_numbers_of_numpy_become_plain_ones(ledger):
    ledger.start_trial(running(0, genes={"a": np.int64(3), "b": np.float32(0.5)}, costs={"params": np.int64(7)}))
    ledger.record_measurement("digits", 0, Measurement(0, 1, {"error": np.float32(0.25)}, np.float64(1.0)))
    trial = ledger.trial("digits", 0)
    assert (trial.genes, trial.costs) == ({"a": 3, "b": 0.5}, {"params": 7})
    assert trial.measurements == (Measurement(0, 1, {"error": 0.25}, 1.0),)
    with pytest.raises(LedgerError, match="architecture of trial 1 of study 'digits' cannot be recorded"):
        ledger.start_trial(running(1, architecture={"path": Path("x")}))


def test_wrong_ways_to_start_and_to_finish(ledger):
    ledger.start_trial(running(0))
    before = ledger.trials("digits")
    for record, found in [
        (running(1, outcome=Outcome.COMPLETE), "cannot start as complete"),
        (running(1, values=VALUES), "starts with results"),
        (running(1, reused="old:3"), "starts with results"),
        (running(-1), "numbered from 0"),
        (running(1, study="nix"), "no study 'nix'"),
    ]:
        with pytest.raises(LedgerError, match=found):
            ledger.start_trial(record)
    for outcome, values, found in [
        (Outcome.RUNNING, None, "cannot be finished as running"),
        (Outcome.COMPLETE, {"error": 0.5}, "without a value of 'macs'"),
        (Outcome.BROKEN, VALUES, "only a complete trial has them"),
    ]:
        with pytest.raises(LedgerError, match=found):
            ledger.finish_trial("digits", 0, outcome, values=values)
    with pytest.raises(LedgerError, match="has no trial 7"):
        ledger.finish_trial("digits", 7, Outcome.BROKEN)
    with pytest.raises(LedgerError, match="has no trial 7"):
        ledger.record_measurement("digits", 7, Measurement(0, 1, {}, 1.0))
    with pytest.raises(LedgerError, match="has no trial 7"):
        ledger.trial("digits", 7)
    assert ledger.trials("digits") == before


def test_trials_by_number_by_outcome_and_counted(ledger):
    assert ledger.trials("digits") == []
    for number in (3, 1, 2, 0):
        ledger.start_trial(running(number))
        ledger.record_measurement("digits", number, Measurement(0, 1, {"error": number / 10}, 1.0))
    ledger.finish_trial("digits", 2, Outcome.COMPLETE, values=VALUES)
    ledger.finish_trial("digits", 1, Outcome.OUT_OF_MEMORY)
    trials = ledger.trials("digits")
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert [trial.measurements[0].values["error"] for trial in trials] == [0.0, 0.1, 0.2, 0.3]
    assert ledger.trials("digits", Outcome.RUNNING) == [trials[0], trials[3]]
    assert ledger.trials("digits", Outcome.COMPLETE) == [ledger.trial("digits", 2)]
    assert ledger.trials("digits", Outcome.BROKEN) == []
    expected = dict.fromkeys([outcome.value for outcome in Outcome], 0)
    assert ledger.count_outcomes("digits") == expected | {"running": 2, "complete": 1, "out-of-memory": 1}


# Rungs, and results of other studies


def test_a_trial_that_was_stopped_at_a_rung_goes_on(ledger):
    ledger.start_trial(running(0))
    first, second = Measurement(0, 1, {"error": 0.5}, 1.0, order=1), Measurement(1, 2, {"error": 0.4}, 2.0, order=2)
    ledger.record_measurement("digits", 0, first)
    with pytest.raises(LedgerError, match="only a complete trial has them"):
        ledger.finish_trial("digits", 0, Outcome.STOPPED, values=VALUES)
    ledger.finish_trial("digits", 0, Outcome.STOPPED, reason="at rung 0", seconds=1.0)
    with pytest.raises(LedgerError, match="already stopped"):
        ledger.record_measurement("digits", 0, second)
    stopped = ledger.trial("digits", 0)
    assert (stopped.outcome, stopped.reason, stopped.values) == (Outcome.STOPPED, "at rung 0", {})
    ledger.resume_trial("digits", 0)
    resumed = ledger.trial("digits", 0)
    assert resumed == replace(stopped, outcome=Outcome.RUNNING, reason="", finished_at=None)
    with pytest.raises(LedgerError, match="is running and cannot be resumed: only a stopped one can"):
        ledger.resume_trial("digits", 0)
    ledger.record_measurement("digits", 0, second)
    ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES, seconds=2.0)
    assert ledger.trial("digits", 0).measurements == (first, second)


@pytest.mark.parametrize(
    "outcome", [outcome for outcome in Outcome if outcome not in (Outcome.STOPPED, Outcome.RUNNING)]
)
def test_only_a_stopped_trial_is_resumed(ledger, outcome):
    ledger.start_trial(running(0, outcome=outcome if outcome.set_aside else Outcome.RUNNING))
    if not outcome.set_aside:
        ledger.finish_trial("digits", 0, outcome, values=VALUES if outcome is Outcome.COMPLETE else None)
    before = ledger.trial("digits", 0)
    with pytest.raises(LedgerError, match=f"is {outcome} and cannot be resumed"):
        ledger.resume_trial("digits", 0)
    with pytest.raises(LedgerError, match="has no trial 7"):
        ledger.resume_trial("digits", 7)
    assert ledger.trial("digits", 0) == before


def test_what_another_study_knows_of_an_architecture(ledger):
    ledger.create_study("cheap", SEARCH, OBJECTIVES, {}, fidelities=["f1"])
    ledger.create_study("long", SEARCH, OBJECTIVES, {}, fidelities=("f0", "f1"))
    assert ledger.study("long").fidelities == ("f0", "f1")
    assert ledger.study("digits").fidelities == ()
    for study in ("digits", "cheap", "long"):
        ledger.start_trial(running(0, study=study, digest="same"))
        ledger.start_trial(running(1, study=study, digest=f"only {study}"))
        ledger.record_measurement(study, 0, Measurement(0, 1, {"error": 0.5}, 1.0))
    trials = {study: ledger.trials(study) for study in ("cheap", "long")}
    assert ledger.known("same", "f1") == [Known(trials["cheap"][0], 0), Known(trials["long"][0], 1)]
    assert ledger.known("same", "f0") == [Known(trials["long"][0], 0)]
    assert ledger.known("same", "f1", besides="cheap") == [Known(trials["long"][0], 1)]
    assert ledger.known("only cheap", "f1") == [Known(trials["cheap"][1], 0)]
    assert ledger.known("only cheap", "f0") == ledger.known("other", "f0") == ledger.known("same", "f2") == []


def test_the_fidelities_of_an_older_study_are_added_when_it_goes_on(ledger):
    ledger.start_trial(running(0))
    assert ledger.create_study("digits", SEARCH, OBJECTIVES, {}, fidelities=["f0"]).fidelities == ("f0",)
    assert ledger.create_study("digits", SEARCH, OBJECTIVES, {}).fidelities == ("f0",)


def test_a_running_trial_may_end_with_the_results_of_another(ledger):
    ledger.start_trial(running(0))
    ledger.finish_trial("digits", 0, Outcome.STOPPED, reused="old:3")
    assert ledger.trial("digits", 0).reused == "old:3"
    ledger.resume_trial("digits", 0)  # it is trained here from now on
    assert ledger.trial("digits", 0).reused is None
    ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES, reused="older:4")
    assert ledger.trial("digits", 0).reused == "older:4"


def test_a_search_file_from_before_a_default_is_the_same_study(ledger):
    ledger.start_trial(running(0))
    later = SEARCH | {"control": 0.25}
    with pytest.raises(StudyMismatch, match=r"control not set, and now control is 0\.25"):
        ledger.create_study("digits", later, OBJECTIVES, {}, "data-1")

    def resolve(stored):
        return {"control": 0.25} | stored

    with pytest.raises(StudyMismatch, match=r"control 0\.25, and now control is 0\.5"):
        ledger.create_study("digits", later | {"control": 0.5}, OBJECTIVES, {}, "data-1", resolve=resolve)
    assert ledger.study("digits").search == SEARCH
    assert ledger.create_study("digits", later, OBJECTIVES, {}, "data-1", resolve=resolve).search == later
    assert ledger.create_study("digits", later, OBJECTIVES, {}, "data-1").search == later


def test_text_that_databases_do_not_take_is_kept_as_escapes(ledger):
    ledger.start_trial(running(0))
    ledger.finish_trial("digits", 0, Outcome.BROKEN, reason="caf\udce9 \0", traceback="File '/x/\udcff'")
    trial = ledger.trial("digits", 0)
    assert (trial.reason, trial.traceback) == ("caf\\udce9 \\x00", "File '/x/\\udcff'")


def test_a_trial_that_says_too_much_is_bounded_and_no_crash(ledger):
    ledger.start_trial(running(0, reason="x" * 10**6))
    many = {f"metric {number}": 0.5 for number in range(10**5)} | {"n" * 10**6: 1.0}
    ledger.record_measurement("digits", 0, Measurement(0, 1, many, 1.0))
    end = {"reason": "\udcff" * 10**6, "traceback": "first\n" + "line\n" * 10**6 + "last"}
    ledger.finish_trial("digits", 0, Outcome.BROKEN, **end)
    ledger.finish_trial("digits", 0, Outcome.BROKEN, **end)  # it is the same
    trial = ledger.trial("digits", 0)
    assert trial.measurements[0].values == many
    assert trial.traceback.startswith("first\nline\n")
    assert trial.traceback.endswith("line\nlast")
    assert "\n[4,900,010 characters left out]\n" in trial.traceback
    assert len(trial.reason) < 10**6


finite = st.floats(allow_nan=False, allow_infinity=False)
named = st.dictionaries(st.text(max_size=8), finite, max_size=4)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
records = st.builds(
    TrialRecord,
    study=st.just("digits"),
    number=st.just(0),
    digest=words,
    origin=st.sampled_from(["seed", "sampler", "random"]),
    seed=st.none() | words,
    architecture=st.dictionaries(st.text(max_size=8), plain, max_size=3),
    genes=st.none() | st.dictionaries(st.text(max_size=8), finite | st.integers() | st.text(max_size=8), max_size=4),
    costs=st.dictionaries(st.text(max_size=8), st.integers(), max_size=4),
    reason=words,
    violations=named,
    order=st.integers(0, 2**31 - 1),
)


def test_whatever_is_recorded_is_read_back(place):
    with Ledger.open(place, create=True) as ledger:

        @settings(deadline=None, max_examples=40)
        @given(st.lists(records, max_size=3), st.lists(named, max_size=3), named)
        def law(trials, measured, values):
            study = f"study-{len(ledger.studies())}"
            ledger.create_study(study, SEARCH, OBJECTIVES, {})
            rows = tuple(Measurement(0, epoch, row, float(epoch)) for epoch, row in enumerate(measured))
            end = {"outcome": Outcome.COMPLETE, "reason": "done", "values": values | VALUES, "seconds": 1.5}
            for number, record in enumerate(trials):
                ledger.start_trial(replace(record, study=study, number=number))
                assert ledger.trial(study, number) == replace(record, study=study, number=number)
                for row in rows:
                    ledger.record_measurement(study, number, row)
                ledger.finish_trial(study, number, **end)
            read = ledger.trials(study)
            ends = [trial.finished_at for trial in read]
            assert read == [
                replace(record, study=study, number=number, measurements=rows, finished_at=finished_at, **end)
                for number, (record, finished_at) in enumerate(zip(trials, ends, strict=True))
            ]

        law()


# Transactions


def test_every_call_is_durable_against_a_killed_process(place):
    code = f"""
import os, signal, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from ledgers import *
from results.ledger import Ledger, Measurement, Outcome
ledger = Ledger.open(sys.argv[1], create=True)
ledger.create_study("digits", SEARCH, OBJECTIVES, {{}})
ledger.start_trial(running(0))
ledger.start_trial(running(1))
ledger.record_measurement("digits", 0, Measurement(0, 1, {{"error": 0.5}}, 1.0))
ledger.finish_trial("digits", 0, Outcome.COMPLETE, values=VALUES)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(place)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with Ledger.open(place) as ledger:
        first, second = ledger.trials("digits")
        assert (first.values, first.measurements) == (VALUES, (Measurement(0, 1, {"error": 0.5}, 1.0),))
        assert second.outcome is Outcome.RUNNING
        ledger.finish_trial("digits", 1, Outcome.DIVERGED)


def test_reading_while_a_driver_writes(ledger, place):
    with Ledger.open(place, read_only=True) as reader:
        assert reader.trials("digits") == []
        ledger.start_trial(running(0))
        assert len(reader.trials("digits")) == 1
        with ledger._writing("digits"):  # a reader never waits for the writer
            assert reader.count_outcomes("digits")["running"] == 1
        for write in (
            lambda: reader.start_trial(running(1)),
            lambda: reader.set_state("digits", "stopped"),
            lambda: reader.create_study("digits", SEARCH, OBJECTIVES, {}),
        ):
            with pytest.raises(LedgerError, match="opened for reading only"):
                write()
    ledger.start_trial(running(1))


def test_an_error_inside_a_call_leaves_nothing_behind(ledger):
    def fail(connection):
        connection.exec_driver_sql("UPDATE studies SET name = 'gone'")
        raise KeyError

    with pytest.raises(KeyError), ledger._writing("digits") as connection:
        fail(connection)
    assert ledger.study("digits").name == "digits"


def test_many_threads_may_use_one_ledger(ledger):
    def work(part):
        for number in range(part, 40, 4):
            ledger.start_trial(running(number))
            ledger.finish_trial("digits", number, Outcome.COMPLETE, values=VALUES)
            ledger.count_outcomes("digits")

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.count_outcomes("digits")["complete"] == 40


def test_several_programs_may_create_the_same_ledger_at_once(place):
    def work():
        with Ledger.open(place, create=True) as ledger:
            ledger.create_study("digits", SEARCH, OBJECTIVES, {})

    together(work)
    with Ledger.open(place) as ledger:
        assert len(ledger.studies()) == 1


def test_a_closed_ledger_says_so(ledger):
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="was closed"):
        ledger.studies()


def test_records_and_outcomes_are_plain(ledger):
    ledger.start_trial(running(0))
    assert json.loads(json.dumps(ledger.trial("digits", 0).architecture)) == running(0).architecture
    assert [outcome.value for outcome in Outcome if not outcome.final] == ["running"]
    untrained = {Outcome.RUNNING, Outcome.SCREENED, Outcome.DUPLICATE, Outcome.BROKEN}
    assert {outcome for outcome in Outcome if not outcome.trained} == untrained
    assert {outcome for outcome in Outcome if outcome.set_aside} == {Outcome.SCREENED, Outcome.DUPLICATE}
    successes = {Outcome.COMPLETE, Outcome.STOPPED}
    assert {outcome for outcome in Outcome if outcome.failed} == set(Outcome) - untrained - successes
    assert all(outcome.sentence.endswith(".") for outcome in Outcome)


def test_importing_results_is_light():
    code = (
        "import sys, results, results.outcome;"
        "heavy = {'sqlalchemy', 'moocore', 'rich', 'plotly', 'numpy', 'torch', 'ray'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_while_a_connection_closes_is_not_logged(ledger, caplog):
    """A second Ctrl-C may come when a search has stopped already and closes its ledger; it is raised all the same."""
    pool = logging.getLogger(f"sqlalchemy.pool.impl.{type(ledger._database._engine.pool).__name__}")
    pool.error("Exception closing connection %r", 1, exc_info=KeyboardInterrupt())
    assert caplog.text == ""
    pool.error("Exception closing connection %r", 2, exc_info=SystemError("of another kind"))
    pool.error("Exception closing connection %r", 3)
    assert caplog.text.count("Exception closing connection") == 2
