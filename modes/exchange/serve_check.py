"""--mode=serve_check: an exported model served on loopback, asked over REST and gRPC, and compared.

The server is `mmgl_tf.serving.stand_in`, which loads and answers as TF Serving does; the reference is the
run's own network in this process.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmgl_tf.modes.exchange.export_agreement import fits_bfloat16
from mmgl_tf.modes.exchange.export_weights import outdated
from mmgl_tf.modes.reading import read_splits
from mmgl_tf.modes.search.embed_source import RunSource
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE
from mmgl_tf.serving.client import GrpcClient, RestClient
from mmgl_tf.serving.drawn_images import drawn_images
from mmgl_tf.serving.mistakes import mistakes
from mmgl_tf.serving.predictor import FACTS
from mmgl_tf.serving.server_files import commands
from mmgl_tf.serving.stand_in.process import StandIn
from mmgl_tf.serving.version_directories import SAVED, versions

# Largest difference of a value of two unit-length embeddings in float32: sums of another order, batch norm
# folded into the convolutions. bfloat16 is judged as an export is.
TOLERANCE = 1e-4
EACH = 4  # images of each modality
REQUEST_BYTES = 4 << 20


def serve_check(config):
    """Serve the model that a run was exported to and compare; export it first where it was not as it is now.

    Args:
        config: `mmgl_tf.flags.config.Config`, made from the run that --init names.

    Returns:
        Exit status: 0 where every embedding agrees and every bad request is refused.
    """
    model = Path(config.run.workdir) / config.export.model_name
    version = newest_version(model)
    stale = outdated(_facts(version), config) if version else "holds no version yet"
    if stale:
        from mmgl_tf.modes.exchange.export import export

        print(f"{version or model} {stale}, so the run is exported first", flush=True)
        status = export(replace(config, run=replace(config.run, mode="export")))
        version = newest_version(model)
        if status or version is None:
            print(f"FAIL       the export to {model} did not succeed")
            return status or 1
    facts = _facts(version)
    images, codes, whence = _images(config)
    print(f"model      {version}: {facts['streams']}-stream, {facts['feature']}, {facts['precision']}")
    print(f"images     {len(images)}, {whence}")
    reference = reference_embedder(config, facts).embed(images, codes)
    two_streams = facts["streams"] == "two"
    with StandIn(model, config.export.model_name, max_request_bytes=REQUEST_BYTES) as server:
        print(f"server     process {server.pid}, gRPC port {server.port}, REST port {server.rest_port}")
        clients = {
            "REST": RestClient("127.0.0.1", server.rest_port, config.export.model_name),
            "gRPC": GrpcClient("127.0.0.1", server.port, config.export.model_name),
        }
        fine = True
        for protocol, client in clients.items():
            found = client.embed(images, codes if two_streams else None)
            fine &= _agrees(protocol, client, found, reference, version, facts["precision"])
        fine &= _refuses(mistakes(*clients.values(), images[0], two_streams, REQUEST_BYTES))
        fine &= _goes_on(clients, images, codes if two_streams else None)
        for client in clients.values():
            client.close()
        status = server.stop()
    fine &= status == 0
    print(f"stopped    exit status {status}")
    print("all agree" if fine else "FAIL       see above")
    print("\nThis server is for development. In production TF Serving serves the same directory:\n")
    for what, line in commands(config.run.workdir, config.export.model_name, two_streams).items():
        print(f"{what:10} {line}", flush=True)
    return 0 if fine else 1


def newest_version(model):
    """The directory of a model's largest version, or None."""
    whole = [Path(model, str(number)) for number in versions(model)]
    return next((path for path in reversed(whole) if (path / SAVED).is_file()), None)


def _facts(version):
    """The content of a version's model.json; {} where there is none that can be read."""
    try:
        return json.loads((version / FACTS).read_text())
    except (OSError, ValueError):
        return {}


def reference_embedder(config, facts):
    """The run's own network, in float32, that a model was exported from.

    Args:
        config: `mmgl_tf.flags.config.Config`, made from the run.
        facts: content of model.json.

    Returns:
        An object with `embed(list of encoded images, modality int [n]) -> float32 [n, D]`.
    """
    same = {"export_weights": facts["weights"], "export_feature": facts["feature"]}
    return RunSource(replace(config, export=replace(config.export, **same, export_precision="float32")))


def _images(config):
    """(encoded images, modality codes, where they are from): the run's test people, if they are there."""
    try:
        splits = read_splits(config)
        samples = splits.query.samples + splits.gallery.samples
        chosen = [each for code in (VISIBLE, INFRARED) for each in _evenly_chosen(samples, code)]
        images = [Path(sample.path).read_bytes() for sample in chosen]
    except (ValueError, OSError) as error:
        print(f"note       the run's test images cannot be read ({error})")
        chosen = []
    if not chosen:
        return drawn_images(2 * EACH), [VISIBLE, INFRARED] * EACH, "drawn, as smooth noise"
    codes = [sample.modality for sample in chosen]
    counts = ", ".join(f"{codes.count(code)} {MODALITIES[code]}" for code in sorted(set(codes)))
    return images, codes, f"test people of {splits.name} ({counts})"


def _evenly_chosen(samples, modality):
    """A few of the samples of a modality, from all over the list."""
    found = [sample for sample in samples if sample.modality == modality]
    return found[:: max(1, len(found) // EACH)][:EACH]


def _agrees(protocol, client, found, reference, version, precision):
    """Compares one protocol's embeddings and status; whether they are right."""
    status = client.status()
    served = status.get(int(version.name)) == "AVAILABLE"
    if found.shape != reference.shape:
        print(f"{protocol:10} FAIL: shape {found.shape}, in process {reference.shape}")
        return False
    difference = float(np.abs(found - reference).max())
    cosine = float(np.sum(found * reference, axis=1).min())
    right, allowed = difference <= TOLERANCE, f"allowed: difference {TOLERANCE:.0e}"
    if precision == "bfloat16":
        right, allowed = fits_bfloat16(found[None], reference)
    right = served and right  # false for what is not a number, too
    print(
        f"{protocol:10} {'' if right else 'FAIL: '}version {version.name} {status.get(int(version.name))}; "
        f"{found.shape[1]} values, largest difference {difference:.1e}, smallest cosine {cosine:.6f} "
        f"({allowed})"
    )
    return right


def _refuses(every):
    """Sends bad requests; whether each got the right status and cause."""
    problems = [problem for problem in (mistake.problem() for mistake in every) if problem]
    kinds = ", ".join(dict.fromkeys(mistake.name for mistake in every))
    print(f"refused    {len(every) - len(problems)} of {len(every)} bad requests: {kinds}")
    for problem in problems:
        print(f"FAIL       {problem}")
    return not problems


def _goes_on(clients, images, codes):
    """Whether the server still answers, the same over both protocols."""
    first, second = (client.embed(images, codes) for client in clients.values())
    same = bool(np.abs(first - second).max() <= 1e-6)
    print(f"afterwards {'both protocols answer alike' if same else 'FAIL: the protocols differ'}")
    return same
