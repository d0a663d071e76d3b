"""deploy/cluster.slurm with stand-ins for srun, scontrol and the interpreter of the workers."""

import re
import signal
import subprocess

import pytest

from tests.deploy.slurm_step import SCRIPT, Job


@pytest.fixture
def job(tmp_path):
    jobs = []

    def start(*plan, **options):
        jobs.append(Job(tmp_path, *plan, **options))
        return jobs[-1]

    yield start
    for each in jobs:
        each.clean()


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ((0, 0), 0),
        ((3, 3), 3),
        # A mistake that one worker meets; to the others it was lost.
        ((1, 75), 1),
        ((75, 1), 1),
        ((2, 75), 2),
        ((75, 3), 3),
        ((137, 1), 1),
        ((3, 1), 3),
        # Asked to stop, whatever became of the others.
        ((143, 143), 143),
        ((143, 75), 143),
        ((75, 130), 130),
        ((130, 137), 130),
        ((143, 139), 143),
        ((143, 1), 1),
        # srun's own: out of memory, which would happen again.
        ((253, 75), 253),
    ],
)
def test_the_job_ends_with(job, ends, status):
    found, starts, text = job(ends, (0, 0)).ended()
    assert (found, starts) == (status, 1), text


@pytest.mark.parametrize(
    "ends", [(75, 75), (137, 75), (75, 139), (134, 75), (135, 75), (136, 75), (137, 137), (0, 137)]
)
def test_a_lost_worker_has_all_started_again(job, ends):
    status, starts, text = job(ends, (0, 0)).ended()
    assert (status, starts) == (0, 2), text


def test_six_starts_at_most_each_on_another_port(job):
    lost = job((75, 75))
    status, starts, text = lost.ended()
    assert (status, starts) == (75, 6), text
    ports = []
    for number in range(6):
        configs = [lost.starts(index)[number]["config"] for index in range(2)]
        assert [config["task"] for config in configs] == [{"type": "worker", "index": i} for i in range(2)]
        assert configs[0]["cluster"] == configs[1]["cluster"]
        (addresses,) = configs[0]["cluster"].values()
        port = int(addresses[0].removeprefix("alpha:"))
        assert configs[0]["cluster"] == {"worker": [f"alpha:{port}", f"beta:{port}"]}
        ports.append(port)
    assert len(set(ports)) == 6
    assert all(1024 <= port < 65536 for port in ports)


def test_a_mistake_is_told_though_the_other_worker_waited_until_it_was_killed(job):
    status, starts, text = job((1, "hang"), (0, 0), wait_seconds=0.2).ended()
    assert (status, starts) == (1, 1), text


def test_a_worker_that_hangs_after_a_loss_is_killed_and_all_start_again(job):
    status, starts, text = job((75, "hang"), (0, 0), wait_seconds=0.2).ended()
    assert (status, starts) == (0, 2), text


def test_a_missing_interpreter_ends_the_job(job):
    status, starts, text = job((0, 0), environment={"PYTHON": "no/such/python"}).ended()
    assert (status, starts) == (127, 1), text


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_step_reaches_each_worker_once_and_the_job_waits_for_them(job, signum):
    asked = job(("save", "save"), (0, 0))
    asked.signal(signum)
    status, starts, text = asked.ended()
    assert all((asked.path / f"saved.{index}").exists() for index in range(2)), text
    assert (status, starts) == (128 + signum, 1), text
    assert not asked.starts(0)[0]["ignores_sigint"]


def test_workers_get_the_words_that_no_shell_has_read(job):
    words = ["--workdir=a b", "$HOME", "*", '"', "'; exit 9"]
    done = job((0, 0), words=words)
    assert done.ended()[0] == 0
    for index in range(2):
        assert done.starts(index)[0]["words"] == ["main.py", "--strategy=multi_worker", *words]


def test_no_proxy_stands_between_the_workers(job):
    done = job((0, 0), environment={"http_proxy": "http://proxy:1"})
    assert done.ended()[0] == 0
    assert done.starts(1)[0]["no_grpc_proxy"] == "alpha,beta"


@pytest.mark.parametrize(("cores", "expected"), [("16", ["--cpus-per-task=16"]), (None, [])])
def test_a_worker_gets_the_cores_that_sbatch_was_asked_for(job, cores, expected):
    done = job((0, 0), environment={"SLURM_CPUS_PER_TASK": cores})
    status, _, text = done.ended()
    assert status == 0, text
    (step,) = done.sruns()
    assert [option for option in step["options"] if "cpus" in option] == expected
    assert "--kill-on-bad-exit=0" in step["options"]  # else SLURM kills the others before they have ended


def test_sbatch_finds_its_options():
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    lines = SCRIPT.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if not line.startswith("#") and line)
    options = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    # sbatch reads none behind the first command.
    assert options == [line.removeprefix("#SBATCH ") for line in lines[:first] if line.startswith("#SBATCH")]
    assert "--ntasks-per-node=1" in options
    assert any(re.fullmatch(r"--nodes=[2-9]", option) for option in options)
    assert "--signal=TERM@120" in options  # with B: before TERM only this script would get it
