"""A cluster of several nodes on this machine: each line that it reads costs it a node, for which another one comes.

    python -m benchmarks.faults.cluster

Says its address, and after each loss that it has happened. Ends with its standard input.
"""

import sys

import nas.executors.ray_cluster  # noqa: F401  # Ray's settings come before Ray

from ray.cluster_utils import Cluster  # isort: skip

STORE_BYTES = 10**8


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE_BYTES})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES) for _ in range(2)]
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(nodes.pop(0), allow_graceful=False)
        print("killed", flush=True)
        nodes.append(cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES))
    cluster.shutdown()


if __name__ == "__main__":
    main()
