"""The files for clusters: valid where that can be told without one, and naming what the search file has."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from nas.config import SearchConfig, parse_overrides, read_search

ROOT = Path(__file__).resolve().parent.parent
CLUSTER = ROOT / "examples" / "cluster"


def test_ray_up_takes_its_file() -> None:
    import jsonschema
    import ray

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text(encoding="utf-8"))
    config = yaml.safe_load((CLUSTER / "ray-up.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(config, schema)
    assert config["head_node_type"] in config["available_node_types"]


def test_the_rayjob_is_whole() -> None:
    job = yaml.safe_load((CLUSTER / "kuberay-rayjob.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]["rayClusterSpec"]
    assert spec["enableInTreeAutoscaling"] is True  # else KubeRay keeps 'replicas' and heeds no limits
    assert all(group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] for group in spec["workerGroupSpecs"])
    pods = [spec["headGroupSpec"]["template"], *(group["template"] for group in spec["workerGroupSpecs"])]
    for pod in pods:
        (container,) = pod["spec"]["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
        assert {variable["name"] for variable in container["env"]} >= {"INCEPTION_NAS_LEDGER"}


@pytest.mark.parametrize("name", ["ray-up.yaml", "kuberay-rayjob.yaml", "slurm.sh"])
def test_the_search_commands_have_keys_that_there_are(name: str, tmp_path: Path) -> None:
    text = (CLUSTER / name).read_text(encoding="utf-8").replace('"$address"', "10.0.0.1:6379")
    (command,) = re.findall(r"nas search [^'&\n]*", re.sub(r"(?m)^#.*sbatch.*$", "", text))[:1]
    words = shlex.split(command.replace("$search", "search.yaml").strip())
    settings = tuple(words[index + 1] for index, word in enumerate(words) if word == "--set")
    assert any(setting.startswith("ray.address=") for setting in settings)
    config = read_search(ROOT / "examples" / "digits.yaml", parse_overrides(settings))
    assert isinstance(config, SearchConfig)
    assert config.ray.address


@pytest.mark.skipif(not Path("/proc").is_dir() or sys.platform != "linux", reason="a shell script for Linux")
@pytest.mark.timeout(240)
def test_the_slurm_job_runs_and_goes_on(tmp_path: Path) -> None:
    """With stand-ins for Slurm's commands, which run everything here: a head, a driver, the ledger copied back."""
    tools = tmp_path / "tools"
    tools.mkdir()
    python = Path(sys.executable).parent
    for name, content in {
        "scontrol": "echo localhost",
        "srun": 'while [ "${1#--}" != "$1" ]; do shift; done\n[ "$1" = hostname ] && echo 127.0.0.1 || exec "$@"',
        "nas": f'exec {sys.executable} -m nas "$@"',
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{content}\n", encoding="utf-8")
        (tools / name).chmod(stat.S_IRWXU)
    script = (CLUSTER / "slurm.sh").read_text(encoding="utf-8")
    script = re.sub(r"(?m)^source .*$", "", script).replace("--port=6379", "--port=6397").replace(":6379", ":6397")
    (tmp_path / "slurm.sh").write_text(script.replace("sleep 15", "sleep 6"), encoding="utf-8")
    search = tmp_path / "search.yaml"
    search.write_text(
        "study: s\ndata: digits\nseeds: []\ntrials: 2\nsampler: random\nproxy: {resolution: 8, width: 0.0625}\n"
        "recipe: {epochs: 1, batch_size: 256}\n",
        encoding="utf-8",
    )
    environment = {
        **os.environ,
        "PATH": f"{tools}:{python}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLURM_JOB_NODELIST": "here",
        "SLURM_CPUS_PER_TASK": "1",
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("INCEPTION_NAS_LEDGER", None)
    done = subprocess.run(
        ["bash", "slurm.sh", "search.yaml"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "study s is complete: 2 trials trained" in done.stdout
    assert (tmp_path / "runs" / "ledger-of-job.sqlite").is_file()
