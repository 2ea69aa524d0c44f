"""Several nodes on one machine, one of them killed; and a driver that is killed and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")

ROOT = Path(__file__).resolve().parent.parent

# A head without CPUs and two nodes with one each; after some epochs the node of a running trial is killed.
SEARCH = """
import os, sys, threading, time
from pathlib import Path
import nas.executors.ray_cluster  # Ray's settings come before Ray
import ray
from ray.cluster_utils import Cluster
from nas.config import SearchConfig
from nas.driver import run
from nas.candidate import Candidate

runs = Path(sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 10**8})
nodes = [cluster.add_node(num_cpus=1, object_store_memory=10**8) for _ in range(2)]

class Watched(Candidate):
    def step(self):
        report = super().step()
        place = Path(self.job.folder) / "where"
        with place.open("a") as file:
            file.write(f"{report.epoch} {ray.get_runtime_context().get_node_id()}\\n")
        time.sleep(0.5)  # so that the node dies in the middle of a trial
        return report

def kill():
    while True:
        time.sleep(0.05)
        for path in runs.glob("s/trials/*/where"):
            lines = path.read_text().splitlines()
            if 2 <= len(lines) <= 4:
                found = [node for node in nodes if node.node_id == lines[-1].split()[1]]
                if found:
                    (runs / "killed").write_text(f"{path.parent.name} {lines[-1]}")
                    cluster.remove_node(found[0], allow_graceful=False)
                    return

threading.Thread(target=kill, daemon=True).start()
recipe = {"epochs": 8, "batch_size": 256}
config = SearchConfig.from_data({
    "study": "s", "data": "digits", "seeds": [], "trials": 4, "sampler": "random", "recipe": recipe,
    "proxy": {"resolution": 8, "width": 0.0625}, "ray": {"address": cluster.address},
    "storage": sys.argv[2],
})
study = run(config, runs, make=Watched)
print(study.record.state, study.outcomes()["complete"], flush=True)
ray.shutdown()
cluster.shutdown()
"""


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.timeout(300)
def test_a_trial_of_a_killed_node_ends_on_another(tmp_path: Path) -> None:
    """Its epochs before the last checkpoint are not trained again."""
    script = tmp_path / "search.py"
    script.write_text(SEARCH, encoding="utf-8")
    runs = tmp_path / "runs"
    done = subprocess.run(
        [sys.executable, str(script), str(runs), str(runs)],
        capture_output=True,
        text=True,
        timeout=280,
        env=_environment(),
        check=False,
    )
    assert "complete 4" in done.stdout, done.stdout + done.stderr[-3000:]
    trial, epoch, node = (runs / "killed").read_text().split()
    lines = [line.split() for line in (runs / "s" / "trials" / trial / "where").read_text().splitlines()]
    assert len({where for _, where in lines}) == 2  # it went on elsewhere
    assert lines[-1][0] == "8"
    assert lines[-1][1] != node
    epochs = [int(number) for number, _ in lines]
    assert len(epochs) <= 8 + 1  # at most one epoch is trained twice
    assert int(epoch) in epochs


@pytest.mark.timeout(120)
def test_nothing_is_left_of_a_killed_driver(tmp_path: Path) -> None:
    """Not Ray, not the trials, not what a trial has started: five seconds after the driver's death."""
    script = tmp_path / "driver.py"
    script.write_text(
        "import sys, time, subprocess, os\n"
        "from nas.executors.ray_cluster import connect\n"
        "connect(None, 2)\n"
        "import ray\n"
        "@ray.remote\n"
        "def trial():\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    return os.getpid(), child.pid\n"
        "@ray.remote\n"
        "def long():\n"
        "    time.sleep(600)\n"
        "found = ray.get([trial.remote()])[0]\n"
        "long.remote()\n"
        "time.sleep(0.5)\n"
        "print(*found, flush=True)\n"
        "time.sleep(600)\n",
        encoding="utf-8",
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=_environment(), start_new_session=True
    ) as driver:
        assert driver.stdout is not None
        pids = [int(pid) for pid in driver.stdout.readline().split()]
        assert len(pids) == 2
        mine = _descendants(driver.pid)
        assert set(pids) <= mine
        assert len(mine) > 4
        driver.kill()
        driver.wait()
        deadline = time.monotonic() + 5
        while (left := {pid for pid in mine if _alive(pid)}) and time.monotonic() < deadline:
            time.sleep(0.05)
        names = [_name(pid) for pid in left]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not names


def _descendants(pid: int) -> set[int]:
    from nas.executors.guard import with_descendants

    return with_descendants({pid}) - {pid}


def _alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _name(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text().replace("\0", " ")[:100]
    except OSError:
        return "gone"
