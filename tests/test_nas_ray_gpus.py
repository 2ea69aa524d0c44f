"""GPUs of a cluster, faked: they come late, others hold them, torch sees none. One Ray of several nodes is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A head without CPUs, a node with CPUs, and, once some trials are trained there, one with a GPU of 24 GiB.
SEARCH = """
import sys, time
from pathlib import Path
from nas.executors import ray_cluster, ray_tune
import ray
from ray.cluster_utils import Cluster
from nas.config import SearchConfig
from nas.driver import run
from nas.job import Report
from results.outcome import Outcome
from search_spaces.errors import RequestError

ray_tune.LOOK_SECONDS = 0.2
runs = Path(sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 10**8})
cluster.add_node(num_cpus=1, object_store_memory=10**8)

class Worker:
    def __init__(self, job):
        self.job = job

    def step(self):
        time.sleep(0.3)
        (runs / f"share-{self.job.number}").write_text(str(self.job.gpu_share))
        error = {"error": 0.5}
        return Report(self.job.number, 1, 1, error, 1.0, ((error, 1.0),), Outcome.COMPLETE)

ray_cluster.smallest_gpu_bytes = lambda: 24 * 2**30  # there is no such GPU here
grown = False

class Growing(ray_tune.RayTuneExecutor):
    def _recounted(self, room, found):
        global grown
        if not grown and len(list(runs.glob("share-*"))) >= 2:
            grown = True
            cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=10**8)
        return super()._recounted(room, found)

config = SearchConfig.from_data({
    "study": "s", "data": "digits", "seeds": [], "trials": 60, "sampler": "random", "recipe": {"epochs": 1},
    "proxy": {"resolution": 8, "width": 0.0625}, "ray": {"address": cluster.address},
})
study = run(config, runs, executor=Growing(config.executor, cluster.address), make=Worker)
print(study.record.state, study.outcomes()["complete"], flush=True)

# The same GPU, held by another.
@ray.remote(num_cpus=0, num_gpus=1)
class Holder:
    def there(self):
        return True

holder = Holder.remote()
ray.get(holder.there.remote())
asked = ray_cluster.ask_gpu_bytes()
print("held", ray_cluster.answered(asked, 1.0), flush=True)
ray.kill(holder)
print("free", ray_cluster.answered(asked, 60.0), flush=True)

def broken():
    raise ModuleNotFoundError("no module named trainers")

for answer in (lambda: 0, broken):
    ray_cluster.smallest_gpu_bytes = answer
    try:
        ray_cluster.answered(ray_cluster.ask_gpu_bytes(), 60.0)
    except RequestError as error:
        print("refused", error, flush=True)
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.timeout(300)
def test_gpus_that_come_late_that_others_hold_and_that_are_of_no_use(tmp_path: Path) -> None:
    script, runs = tmp_path / "search.py", tmp_path / "runs"
    script.write_text(SEARCH, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(runs)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    told = done.stdout + done.stderr[-3000:]
    for line in (
        "complete 60",
        "held None",
        f"free {24 * 2**30}",
        "refused Ray counts GPUs on a machine where torch sees none: install a CUDA build of torch there",
        "refused a machine of Ray's cannot tell the memory of its GPUs (ModuleNotFoundError: no module named trainers)",
    ):
        assert line in told, told
    shares = [float(path.read_text()) for path in runs.glob("share-*")]
    assert len(shares) == 60
    assert 2 <= shares.count(0.0) < 60  # trained on CPUs before there was a GPU
    assert set(shares) == {0.0, 0.125}
