"""deploy/cluster.yaml: what must fit together in it. No Kubernetes is asked."""

import json
from pathlib import Path

import pytest

from mmgl_tf.machines.cluster import read_cluster
from mmgl_tf.modes.training.begin import AGAIN
from tests.deploy.plain_yaml import documents

TEXT = (Path(__file__).resolve().parents[2] / "deploy" / "cluster.yaml").read_text()
SERVICE, JOB = documents(TEXT)
POD = JOB["spec"]["template"]["spec"]
(WORKER,) = POD["containers"]
VARIABLES = [variable["name"] for variable in WORKER["env"]]


def config(index):
    """TF_CONFIG as Kubernetes sets it in the pod of an index."""
    value = WORKER["env"][VARIABLES.index("TF_CONFIG")]["value"]
    return value.replace("$(JOB_COMPLETION_INDEX)", str(index))


def test_it_is_a_headless_service_and_an_indexed_job():
    assert [(part["apiVersion"], part["kind"]) for part in (SERVICE, JOB)] == [
        ("v1", "Service"),
        ("batch/v1", "Job"),
    ]
    assert SERVICE["spec"]["clusterIP"] == "None"
    assert (
        SERVICE["spec"]["publishNotReadyAddresses"] is True
    )  # workers look for each other before all are there
    assert JOB["spec"]["completionMode"] == "Indexed"
    labels = JOB["spec"]["template"]["metadata"]["labels"]
    assert SERVICE["spec"]["selector"].items() <= labels.items()
    (term,) = POD["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"].items() <= labels.items()


def test_as_many_pods_run_at_once_as_tf_config_has_workers():
    workers = json.loads(config(0))["cluster"]["worker"]
    assert JOB["spec"]["completions"] == JOB["spec"]["parallelism"] == len(workers) > 1


def test_each_pod_finds_itself_in_tf_config_under_its_name(monkeypatch):
    service, job = SERVICE["metadata"]["name"], JOB["metadata"]["name"]
    assert POD["subdomain"] == service  # else the pods have no names
    port = SERVICE["spec"]["ports"][0]["port"]
    assert WORKER["ports"] == [{"containerPort": port}]
    for index in range(JOB["spec"]["completions"]):
        monkeypatch.setenv("TF_CONFIG", config(index))
        addresses, found = read_cluster()  # the program's own reading
        assert found == index
        assert addresses[index] == f"{job}-{index}.{service}:{port}"


def test_the_index_is_known_before_tf_config_names_it():
    assert VARIABLES.index("JOB_COMPLETION_INDEX") < VARIABLES.index("TF_CONFIG")
    source = WORKER["env"][VARIABLES.index("JOB_COMPLETION_INDEX")]["valueFrom"]["fieldRef"]["fieldPath"]
    assert source == "metadata.annotations['batch.kubernetes.io/job-completion-index']"


def test_a_mistake_ends_the_job_and_a_loss_does_not():
    fail, ignore = JOB["spec"]["podFailurePolicy"]["rules"]
    assert fail["action"] == "FailJob"
    assert fail["onExitCodes"] == {"containerName": WORKER["name"], "operator": "In", "values": [1, 2, 3]}
    assert AGAIN not in fail["onExitCodes"]["values"]
    assert ignore == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    assert POD["restartPolicy"] == "Never"  # a podFailurePolicy allows nothing else


def test_every_mount_has_its_volume_and_shared_paths_lie_on_the_claim():
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in WORKER["volumeMounts"]}
    assert mounts.keys() == volumes.keys()
    assert "persistentVolumeClaim" in volumes["shared"]
    flags = dict(word.removeprefix("--").split("=") for word in WORKER["command"][2:])
    assert flags["strategy"] == "multi_worker"
    for name in ("data_dir", "workdir", "cache_dir"):
        assert flags[name].startswith(mounts["shared"] + "/")


@pytest.mark.parametrize("text", ["a: {b: 1}", "a: |\n  b", "a:", "a: 1\na: 2", "a: 1\n  b: 2", 'a: "b" # c'])
def test_the_reader_refuses_what_it_does_not_know(text):
    with pytest.raises(ValueError):
        documents(text)
