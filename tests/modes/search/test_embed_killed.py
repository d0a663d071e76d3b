"""--mode=embed killed in the middle, as a user's shell or a machine's power would."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.modes.small_run import settings, write_run

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_after_kill_9_the_same_command_ends_with_the_files_of_an_undisturbed_one(tmp_path):
    write_run(tmp_path / "run", settings(), embedders=("best",))
    (tmp_path / "images" / "visible").mkdir(parents=True)
    dice = np.random.default_rng(3)
    for number in range(3000):
        pixels = dice.integers(0, 256, (64, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / "visible" / f"{number:04d}.bmp")

    def command(workdir):
        flags = ["--mode=embed", "--init=run", "--images=images", f"--workdir={workdir}", "--batch_size=16"]
        return [sys.executable, str(ROOT / "main.py"), *flags]

    running = subprocess.Popen(command("killed"), cwd=tmp_path, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not any((tmp_path / "killed" / "unfinished").glob("chunk_*.npz")):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "killed" / "about.json").exists()
    again = subprocess.run(command("killed"), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "from image 512 of 3000" in again.stdout or "from image 1024 of 3000" in again.stdout
    subprocess.run(command("undisturbed"), cwd=tmp_path, stdout=subprocess.DEVNULL, check=True)
    for name in ("embeddings.npz", "embeddings.tsv", "about.json", "plan.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes(), (
            name
        )
