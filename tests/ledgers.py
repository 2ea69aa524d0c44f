"""Ledgers for tests: one of each kind, and what is recorded in them."""

from concurrent.futures import ThreadPoolExecutor

from results.outcome import TrialRecord

SEARCH = {"study": "digits", "trials": 24, "executor": {"kind": "ray", "workers": 2}, "training": {"epochs": [2, 8]}}
OBJECTIVES = {"error": "minimize", "macs": "minimize"}
VALUES = {"error": 0.25, "macs": 5713216096.0}


def running(number, study="digits", **fields):
    defaults = {
        "digest": f"{number:064x}",
        "origin": "sampler",
        "architecture": {"stem": "v3", "stages": [{"modules": [1, 2.5, None, True, "×"]}]},
        "costs": {"params": 23834568, "macs": 5713216096},
        "genes": {"depth": 3, "width": 0.1, "kind": "pool"},
    }
    return TrialRecord(study=study, number=number, **(defaults | fields))


def together(work, times=6):
    """Run `work` in threads at once; raise what one of them raised."""
    with ThreadPoolExecutor(times) as pool:
        for future in [pool.submit(work) for _ in range(times)]:
            future.result()
