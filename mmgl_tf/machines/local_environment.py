"""What the environment tells one of several workers on one machine: who is who, and which GPUs are its own.

Standard library only, as `local_workers` uses it.
"""

import itertools
import json
import os
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")  # a directory for each GPU


def local_environment(index, ports, given=os.environ):
    """The environment of a worker.

    Args:
        index: its place in the cluster; 0 is the chief.
        ports: those of all workers, on 127.0.0.1.
        given: dict, what it is made of.

    Returns:
        dict.
    """
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    task = {"type": "worker", "index": index}
    environment = {**given, "TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}
    # gRPC would ask a proxy of the environment for 127.0.0.1, too, and the workers wait for ever.
    direct = given.get("no_grpc_proxy") or given.get("no_proxy")
    environment["no_grpc_proxy"] = f"127.0.0.1,{direct}" if direct else "127.0.0.1"
    if shares := gpu_shares(len(ports), given):
        environment["CUDA_VISIBLE_DEVICES"] = shares[index]
    if index > 0:
        environment.setdefault("PYTHONUNBUFFERED", "1")  # a pipe's last lines would die with the worker
    return environment


def gpu_shares(count, given=os.environ, driver=DRIVER):
    """Shares a machine's GPUs out evenly: each would else take all of them, and NCCL refuses a shared one.

    Args:
        count: workers.
        given: dict in which CUDA_VISIBLE_DEVICES may name the GPUs to share; else all of the machine are.
        driver: directory of NVIDIA's driver, which tells how many those are.

    Returns:
        list of `count` values of CUDA_VISIBLE_DEVICES, all "" where there is not one GPU for each; or None
        where there are no GPUs.
    """
    named = given.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        gpus = [str(number) for number in range(len(list(driver.glob("*"))))]
    else:
        # The first that is none ends the list, as CUDA has it; -1 is how people say "none".
        names = (name.strip() for name in named.split(","))
        gpus = list(itertools.takewhile(lambda name: name and name[0] != "-", names))
    if not gpus:
        return None
    each = len(gpus) // count
    return [",".join(gpus[index * each : (index + 1) * each]) for index in range(count)]
