"""A world on disk: drawn beside its place by several processes, then moved there in one step."""

import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2

from mmgl_tf.pipelines.batches.cores import available_cores

from .draw import draw_image
from .layouts import all_images, write_lists
from .spec import WorldSpec

JPEG_QUALITY = 90
_OWN_NAMES = {
    *(f"cam{camera}" for camera in range(1, 7)),
    *("exp", "Visible", "Thermal", "idx", "world.json", "contact_sheet.png"),
}
_REPOSITORY = Path(__file__).resolve().parents[2]


class WorldError(ValueError):
    """A directory that cannot take, or does not hold, the world that was asked for."""


def draw_identities(spec, root, identities, drawn):
    """Draws and encodes every image of some identities.

    Args:
        spec: a `WorldSpec`.
        root: directory to write below.
        identities: identity numbers.
        drawn: called with the number of images just written, once per identity.

    Raises:
        OSError: where a file cannot be written, e.g. on a full disk.
    """
    images = all_images(spec)
    folders = set()
    for identity in identities:
        for name, camera, frame in images[identity]:
            path = Path(root) / name
            if path.parent not in folders:
                _make_folder(Path(root), path.parent)
                folders.add(path.parent)
            pixels = cv2.cvtColor(draw_image(spec, identity, camera, frame), cv2.COLOR_RGB2BGR)
            # Encoded here and written by Python: OpenCV's own writer says nothing when the disk is full.
            _, encoded = cv2.imencode(path.suffix, pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            path.write_bytes(encoded.tobytes())
        drawn(len(images[identity]))


def _make_folder(root, folder):
    """Makes a folder below `root`, but not `root`: where that was swept away, the parent process is gone."""
    for path in [*reversed(folder.relative_to(root).parents), folder.relative_to(root)][1:]:
        (root / path).mkdir(exist_ok=True)


def write_world(spec, directory, processes=None, progress=None):
    """Writes a world, or leaves a complete one with the same spec as it is.

    Everything is drawn into a sibling directory and renamed at the end, so a full disk or a kill never leaves
    half a world under the final name.

    Args:
        spec: a `WorldSpec`.
        directory: where the world goes.
        processes: number of drawing processes; None = one per core this process may use. The files do not
            depend on it.
        progress: called as progress(done, total, seconds): images drawn, images in all, time since the start.

    Returns:
        The directory, a `Path`.

    Raises:
        WorldError: where the directory holds something else.
        OSError: where a file cannot be written.
        OSError: where a drawing process fails.
    """
    directory = Path(directory).absolute()
    if _holds(spec, directory):
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    _sweep(directory)
    partial = directory.with_name(f".{directory.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        count = _draw_all(spec, partial, processes or available_cores(), progress)
        write_lists(spec, partial)
        (partial / "world.json").write_text(json.dumps({**spec.as_dict(), "images": count}, indent=2) + "\n")
        _move(spec, partial, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return directory


def read_spec(directory):
    """The spec of the world in a directory.

    Args:
        directory: a directory that `write_world` made.

    Returns:
        (spec, drawing_version, images): a `WorldSpec` and two integers.

    Raises:
        WorldError: where there is no readable world.json.
    """
    path = Path(directory) / "world.json"
    try:
        content = json.loads(path.read_text())
        version, images = content.pop("drawing_version"), content.pop("images")
        return WorldSpec(**content), version, images
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorldError(
            f"{directory} holds no drawn world: {path} is missing or unreadable ({error})."
        ) from error


def _holds(spec, directory):
    """True for a complete world of this spec; False where one can be written; an error otherwise."""
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return False
    advice = "Give an empty or new directory, or remove this one."
    if not directory.is_dir():
        raise WorldError(f"{directory} is a file; a world needs a directory. {advice}")
    if not (directory / "world.json").is_file():
        raise WorldError(f"{directory} holds files but no world.json, so it is not a drawn world. {advice}")
    strange = sorted({path.name for path in directory.iterdir()} - _OWN_NAMES)
    if strange:  # a redrawing would remove them
        raise WorldError(f"{directory} holds {strange[0]}, which no drawn world has. {advice}")
    try:
        found, version, images = read_spec(directory)
    except WorldError:
        return False  # a damaged world.json: ours, and redrawn
    if {**found.as_dict(), "drawing_version": version} != spec.as_dict():
        raise WorldError(f"{directory} holds another world ({found}, drawing version {version}). {advice}")
    return images == _count_files(spec, directory)


def _count_files(spec, directory):
    """Number of the world's files that are there and not empty."""
    sizes = {}
    count = 0
    for images in all_images(spec).values():
        for name, _, _ in images:
            folder, _, file = name.rpartition("/")
            if folder not in sizes:
                try:
                    with os.scandir(directory / folder) as entries:
                        sizes[folder] = {entry.name: entry.stat().st_size for entry in entries}
                except OSError:
                    sizes[folder] = {}
            count += sizes[folder].get(file, 0) > 0
    return count


def _sweep(directory):
    """Removes what killed runs left beside the directory."""
    for path in directory.parent.glob(f".{directory.name}.*-*"):
        pid = path.name.rpartition("-")[2]
        if path.is_dir() and pid.isdigit() and not _is_running(int(pid)):
            _remove_from_under_orphans(path)


def _remove_from_under_orphans(path, patience_seconds=10.0):
    """Removes a directory in which a killed run's drawing processes may still be at work.

    They end when they next report to the dead parent, an identity later at most; until then they may put a
    file into a folder that is just being emptied.
    """
    deadline = time.monotonic() + patience_seconds
    while path.exists() and time.monotonic() < deadline:
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            time.sleep(0.05)


def _is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def _move(spec, partial, directory):
    """Puts the finished world in its place, in one step; another process may have been first."""
    replaced = directory.with_name(f".{directory.name}.replaced-{os.getpid()}")
    if directory.exists() and any(directory.iterdir()):
        if _holds(spec, directory):
            return
        os.replace(directory, replaced)  # an incomplete world of the same spec
    try:
        os.replace(partial, directory)
    except OSError:
        if not _holds(spec, directory):
            raise
    finally:
        shutil.rmtree(replaced, ignore_errors=True)


def _draw_all(spec, root, processes, progress):
    total = sum(map(len, all_images(spec).values()))
    done, started = 0, time.monotonic()

    def drawn(count):
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total, time.monotonic() - started)

    processes = max(1, min(processes, spec.identities))
    if processes == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            draw_identities(spec, root, range(1, spec.identities + 1), drawn)
        finally:
            cv2.setNumThreads(threads)
    else:
        _draw_in_processes(spec, root, processes, drawn)
    return total


def _draw_in_processes(spec, root, processes, drawn):
    """Shares the identities out among child processes.

    Fresh interpreters of `worker.py` rather than forks or multiprocessing's spawn: forking a process in which
    TensorFlow runs threads can hang, and spawn would import the caller's main module, TensorFlow included.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_REPOSITORY), os.environ.get("PYTHONPATH")))),
    }
    command = [sys.executable, "-m", "mmgl_tf.pipelines.synthetic.worker"]
    errors = [open(Path(root) / f".worker-{i}.log", "w+") for i in range(processes)]  # noqa: SIM115
    workers = []
    try:
        for i in range(processes):
            task = {"spec": spec.as_dict(), "root": str(root), "first": i + 1, "step": processes}
            worker = subprocess.Popen(
                [*command, json.dumps(task)],
                stdout=subprocess.PIPE,
                stderr=errors[i],
                text=True,
                env=environment,
            )
            workers.append(worker)
        _follow(workers, drawn)
        for worker, log in zip(workers, errors, strict=True):
            if worker.wait():
                log.seek(0)
                reason = (log.read().strip().splitlines() or ["no message"])[-1]
                raise OSError(
                    f"A process that draws the world into {root} ended with status {worker.returncode}: "
                    f"{reason}. "
                    "Nothing was left there; check the free space and start again."
                )
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
            worker.stdout.close()
        for log in errors:
            log.close()
            Path(log.name).unlink(missing_ok=True)


def _follow(workers, drawn):
    """Reads the workers' counts as they come, until all have ended or one has failed."""
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.stdout, selectors.EVENT_READ, worker)
        while selector.get_map():
            for key, _ in selector.select():
                line = key.fileobj.readline()
                if line:
                    drawn(int(line))
                    continue
                selector.unregister(key.fileobj)
                if key.data.wait():
                    return
