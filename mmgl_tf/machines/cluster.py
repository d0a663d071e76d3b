"""Which workers there are, and which of them this process is: what TF_CONFIG says."""

import json
import os
import re

EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


def read_cluster():
    """Reads TF_CONFIG.

    Returns:
        (addresses of the workers, index of this one); ([], 0) where it is not set or names no cluster.

    Raises:
        ValueError: it cannot be read, or it names no cluster of workers that could reach each other.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return [], 0
    try:
        config = json.loads(text)
        cluster, task = dict(config.get("cluster") or {}), dict(config.get("task") or {})
        addresses = cluster.pop("worker", [])
    except (json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"TF_CONFIG={text!r} cannot be read ({error}); expected such as {EXAMPLE}") from None
    if cluster:
        raise ValueError(
            f"TF_CONFIG has a cluster with {', '.join(sorted(cluster))}; expected all machines under "
            "worker, of which the first is the chief"
        )
    if not addresses:
        return [], 0
    wrong = _wrong(addresses)
    if wrong:
        raise ValueError(
            f"TF_CONFIG names {wrong}; expected a list of different host:port, such as {EXAMPLE}"
        )
    kind, index = task.get("type"), task.get("index")
    if kind != "worker" or type(index) is not int or not 0 <= index < len(addresses):
        raise ValueError(
            f"TF_CONFIG names task {kind} {index}; expected a worker from 0 to {len(addresses) - 1} "
            f"(worker 0 is the chief), such as {EXAMPLE}"
        )
    return addresses, index


def _wrong(addresses):
    """What is wrong with the addresses, in words, or None."""
    if not isinstance(addresses, list):
        return f"the workers {addresses!r}"
    for address in addresses:
        # A host, or an address in brackets that has colons of its own.
        if not isinstance(address, str) or not re.fullmatch(r"([^\s:\[\]]+|\[[^\s\]]+\]):\d{1,5}", address):
            return f"the worker {address!r}"
        if addresses.count(address) > 1:
            return f"{address} twice"
    return None
