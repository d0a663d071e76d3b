"""The stand-in server as a process of its own, started and stopped by tests, checks and load tests."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

READY = re.compile(r"^ready: gRPC 127\.0\.0\.1:(\d+) REST 127\.0\.0\.1:(\d+)$", re.MULTILINE)


class StandIn:
    """A running stand-in server on free loopback ports; a context manager.

    Args:
        model_base_path: directory with numbered versions.
        model_name: name under which they are served.
        wait_seconds: how long it may take until a version answers.
        **options: of `python -m mmgl_tf.serving.stand_in`.

    Attributes:
        port, rest_port: of gRPC and REST, on 127.0.0.1.
        pid: of the process.

    Raises:
        ValueError: no version could be served; says what the server said.
    """

    def __init__(self, model_base_path, model_name="mmgl", wait_seconds=180.0, **options):
        base = Path(model_base_path).resolve()
        options = {"model_base_path": base, "port": 0, "rest_api_port": 0, "model_name": model_name} | options
        arguments = [f"--{name}={value}" for name, value in options.items()]
        self.model_base_path, self.model_name = base, model_name
        handle, name = tempfile.mkstemp(prefix="stand-in-", suffix=".log")
        self._log = Path(name)
        with os.fdopen(handle, "w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mmgl_tf.serving.stand_in", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).resolve().parents[3],
                env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
            )
        try:
            self._wait(wait_seconds)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _wait(self, seconds):
        limit = time.monotonic() + seconds
        served = f"{self.model_name} version"
        while True:
            log = self.log()
            ready = READY.search(log)
            if ready and re.search(rf"^{re.escape(served)} \d+: AVAILABLE", log, re.MULTILINE):
                self.port, self.rest_port = (int(number) for number in ready.groups())
                return
            ended = self._process.poll() is not None
            failed = ready and re.search(rf"^{re.escape(served)} \d+: END", log, re.MULTILINE)
            if ended or failed or time.monotonic() > limit:
                raise ValueError(f"{self.model_base_path} cannot be served. The server said:\n{log.strip()}")
            time.sleep(0.05)

    @property
    def pid(self):
        """Number of the process."""
        return self._process.pid

    def log(self):
        """What the server printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def alive(self):
        """Whether the process runs."""
        return self._process.poll() is None

    def memory_bytes(self):
        """Resident memory of the process."""
        status = Path(f"/proc/{self.pid}/status")
        if status.is_file():
            return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1]) << 10
        found = subprocess.run(["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, text=True)
        return int(found.stdout) << 10

    def stop(self):
        """Asks the process to end and waits; its exit status."""
        if self.alive():
            self._process.terminate()
        try:
            status = self._process.wait(90)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._log.unlink(missing_ok=True)
        return status
