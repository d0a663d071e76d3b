"""Which version of a model directory is served: the largest, from the moment it is loaded."""

import contextlib
import threading
from pathlib import Path

from mmgl_tf.serving.stand_in.loaded_version import LoadedVersion
from mmgl_tf.serving.stand_in.refusal import Refusal

OK, FAILED = 0, 2  # error codes of a version's status; 2 is UNKNOWN
LARGEST = 2**63 - 1  # the protocol's version numbers are int64


class ServedVersions:
    """The versions of one model, looked for anew every so often.

    A new version is loaded and warmed up beside the old one, then takes its place; the old one is closed when
    its last request has ended. A version that cannot be loaded is left out, and the one before it stays. A
    version whose directory is removed is no longer served.

    Args:
        base_path: holds directories named by version numbers.
        name: of the model.
        report: called with a sentence about each change.
    """

    def __init__(self, base_path, name, report=print):
        self.base_path, self.name = Path(base_path), name
        self._report = report
        self._lock = threading.Lock()
        self._served = None
        self._states = {}  # {version: (state, error code, error message)}
        self._failed = {}  # {version: when its graph was written}, not tried again until that changes
        self._stop = threading.Event()
        self._watcher = None

    def watch(self, seconds):
        """Looks once, then every `seconds` in a thread, until `close`."""
        self.poll()
        self._watcher = threading.Thread(target=self._watch, args=(seconds,), name="versions", daemon=True)
        self._watcher.start()

    def _watch(self, seconds):
        while not self._stop.wait(seconds):
            try:
                self.poll()
            except Exception as error:  # a directory that cannot be read now may be readable again later
                self._report(f"{self.base_path}: {type(error).__name__}: {error}")

    def poll(self):
        """Serves the largest version that is there and can be loaded."""
        found = self._found()
        with self._lock:
            self._failed = {v: when for v, when in self._failed.items() if found.get(v) == when}
            self._states = {v: s for v, s in self._states.items() if v in found or s[0] != "END"}
            served = self._served
        for number in sorted(found, reverse=True):
            if served and served.number == number:
                return
            if number not in self._failed and self._load(number, found[number]):
                break
        else:
            if served:
                self._replace(None)

    def _found(self):
        """{version: when its graph was written}."""
        if not self.base_path.is_dir():
            return {}
        graphs = (entry / "saved_model.pb" for entry in self.base_path.iterdir() if _is_number(entry.name))
        return {int(graph.parent.name): graph.stat().st_mtime_ns for graph in graphs if graph.is_file()}

    def _load(self, number, written):
        """Loads a version and serves it; whether that worked."""
        self._say(number, "LOADING")
        try:
            loaded = LoadedVersion(self.base_path / str(number))
        except Exception as error:  # whatever is wrong with one version, the others go on
            self._failed[number] = written
            self._say(number, "END", FAILED, f"{type(error).__name__}: {error}")
            return False
        warm = f", {loaded.warm_up_requests} warm-up requests" if loaded.warm_up_requests else ""
        self._say(number, "AVAILABLE", note=warm)
        self._replace(loaded)
        return True

    def _replace(self, loaded):
        with self._lock:
            old, self._served = self._served, loaded
        if old:
            self._say(old.number, "UNLOADING")
            emptied = old.close()
            self._say(old.number, "END", note="" if emptied else ", though requests had not ended")

    def _say(self, number, state, code=OK, message="", note=""):
        with self._lock:
            self._states[number] = (state, code, message)
        self._report(f"{self.name} version {number}: {state}{note}{': ' if message else ''}{message}")

    @contextlib.contextmanager
    def asked(self, name, version=None, label=""):
        """The version that a request asks for, kept open while the request runs.

        Args:
            name: of the model.
            version: number, or None for the one that is served.
            label: of a version; there are none here.

        Raises:
            Refusal: it is not served.
        """
        if label:
            raise Refusal("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        with self._lock:
            served = self._served if name == self.name else None
            if served is None or version not in (None, served.number):
                wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise Refusal("NOT_FOUND", f"Servable not found for request: {wanted}")
            served.enter()
        try:
            yield served
        finally:
            served.leave()

    def states(self, name, version=None):
        """{version: (state, error code, error message)}, largest first.

        Raises:
            Refusal: the model or version is unknown.
        """
        with self._lock:
            known = dict(sorted(self._states.items(), reverse=True)) if name == self.name else {}
        if version is not None:
            if version not in known:
                raise Refusal("NOT_FOUND", f"Could not find version {version} of model {name}")
            return {version: known[version]}
        if not known:
            raise Refusal("NOT_FOUND", f"Could not find any versions of model {name}")
        return known

    def close(self):
        """Stops looking, and closes what is served."""
        self._stop.set()
        if self._watcher:
            self._watcher.join()
        self._replace(None)


def _is_number(name):
    """Whether a directory's name is a version's: one name a number, none that no client can ask."""
    return name.isdecimal() and name == str(int(name)) and int(name) <= LARGEST
