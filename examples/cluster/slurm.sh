#!/usr/bin/env bash
# A search as a Slurm job: one Ray node on each machine of the allocation, the driver on the first.
#
#   sbatch examples/cluster/slurm.sh search.yaml
#
# EDIT the lines of #SBATCH, and how the environment is entered. The folder from which the job is submitted must be seen by
# all machines (home or scratch); checkpoints and results of trials lie below it, in runs/. SQLite must not lie on a network
# file system: the ledger is a PostgreSQL database (INCEPTION_NAS_LEDGER), or, as here without one, a file on a local disk
# of the first machine that is copied back every minute and at the end. Submitting the job again goes on.
#SBATCH --job-name=inception-nas
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@300
set -euo pipefail

search=${1:?name a search file: sbatch slurm.sh search.yaml}
source .venv/bin/activate # EDIT
export RAY_USAGE_STATS_ENABLED=0

trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT # Ray's nodes, which would wait for ever

nodes=($(scontrol show hostnames "$SLURM_JOB_NODELIST"))
address=$(srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" hostname --ip-address | awk '{print $1}'):6379
gpus=${SLURM_GPUS_ON_NODE:-0}

srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" --overlap \
    ray start --head --port=6379 --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="$gpus" --block &
sleep 15
for node in "${nodes[@]:1}"; do
    srun --nodes=1 --ntasks=1 --nodelist="$node" --overlap \
        ray start --address="$address" --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="$gpus" --block &
done
sleep 15

copy_back() { # whole or not at all, while the search writes
    [ -s "$local_ledger" ] || return 0
    python -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))' \
        "$local_ledger" runs/ledger-of-job.sqlite.new && mv runs/ledger-of-job.sqlite.new runs/ledger-of-job.sqlite
}

local_ledger=
if [ -z "${INCEPTION_NAS_LEDGER:-}" ]; then
    local_ledger=$(mktemp -d)/ledger.sqlite
    [ -f runs/ledger-of-job.sqlite ] && cp runs/ledger-of-job.sqlite "$local_ledger"
    export INCEPTION_NAS_LEDGER="sqlite:///$local_ledger"
    mkdir -p runs
    while sleep 60; do copy_back || true; done & # what was recorded since is lost with the machine, and trained again
    copier=$!
fi

# Slurm's TERM, five minutes before the time is up, ends the search after the running epochs; the job then goes on when it
# is submitted again. 'wait' returns at once on a signal, so that it is asked twice.
nas search "$search" --set ray.address="$address" &
driver=$!
trap 'kill -TERM $driver' TERM
wait $driver || wait $driver || status=$?
[ -z "${copier:-}" ] || kill "$copier"
copy_back
exit "${status:-0}"
