"""Pre-training in bfloat16 learns what it learns in float32."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real_runs import ROOT

# Half the demo's length.
DEMO = ("--mode=pretrain", "--preset=demo", "--epochs=6")


def computes_bfloat16():
    """Whether this processor has units for it; one that has not takes over an hour."""
    about = Path("/proc/cpuinfo")
    return about.exists() and any(unit in about.read_text() for unit in ("avx512_bf16", "amx_bf16"))


@pytest.mark.slow
@pytest.mark.skipif(not computes_bfloat16(), reason="this processor has no bfloat16 units")
def test_the_demo_world_is_learnt_to_the_same_accuracy_in_bfloat16(tmp_path):
    cache = tmp_path / "cache"
    world = ["--mode=synthesize", f"--workdir={tmp_path / 'world'}"]
    subprocess.run(
        [sys.executable, "main.py", *world], cwd=ROOT, check=True, timeout=600, capture_output=True
    )
    started = {}
    for precision in ("float32", "bfloat16"):
        flags = [f"--precision={precision}", f"--workdir={tmp_path / precision}", f"--cache_dir={cache}"]
        flags += ["--dataset=sysu", f"--data_dir={tmp_path / 'world'}"]
        with (tmp_path / f"{precision}.log").open("w") as log:
            started[precision] = subprocess.Popen(
                [sys.executable, "main.py", *DEMO, *flags], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )
    found = {}
    for precision, process in started.items():
        assert process.wait(timeout=3000) == 0, (tmp_path / f"{precision}.log").read_text()[-3000:]
        last = json.loads((tmp_path / precision / "metrics.jsonl").read_text().splitlines()[-1])
        found[precision] = [
            last[f"validation/accuracy/permutation_stripe_{modality}"] for modality in ("visible", "infrared")
        ]
    print(found)
    for half, full in zip(found["bfloat16"], found["float32"], strict=True):
        # Three seeds of either spread over 0.01 (docs/scaling.md).
        assert full > 0.9 and abs(half - full) < 0.03, found
