"""What TF Serving is started with: its configuration files beside the models, and the lines to type."""

import shlex
from pathlib import Path

from mmgl_tf.run_directory import atomic_file
from mmgl_tf.serving.version_directories import versions

# The server must not be older than the TensorFlow that exported: the newest released image of its version.
IMAGE = "tensorflow/serving:2.20.0"
MODELS, BATCHING, MONITORING = "models.config", "batching.config", "monitoring.config"

_MODEL = """\
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    # The newest version only. To go back to an older one: specific {{ versions: 3 }}
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
"""
_BATCHING = """\
# Requests that wait are run together, padded to the next of the allowed sizes; the largest must be
# max_batch_size. A request of more images is refused. Requests that share a batch fail together: one
# unreadable image fails them all.
max_batch_size {{ value: {largest} }}
{allowed}
# 0: never wait for company. With many clients try 1000 to 10000 (1 to 10 ms); on a GPU a few ms.
batch_timeout_micros {{ value: 0 }}
# As many as the server has cores.
num_batch_threads {{ value: 4 }}
# Batches that may wait before requests are refused with UNAVAILABLE.
max_enqueued_batches {{ value: 100 }}
"""
MONITORING_TEXT = """\
prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }
"""


def models_config(names):
    """The text of a model configuration file, for models below /models."""
    return "model_config_list {\n" + "".join(_MODEL.format(name=name) for name in names) + "}\n"


def batching_config(batch_sizes):
    """The text of a batching parameters file.

    Args:
        batch_sizes: integers, ascending.
    """
    allowed = "\n".join(f"allowed_batch_sizes: {size}" for size in batch_sizes)
    return _BATCHING.format(largest=batch_sizes[-1], allowed=allowed)


def write_server_files(root, batch_sizes):
    """Write the three configuration files for the models below a directory.

    Args:
        root: directory of the models' directories; the server sees it as /models.
        batch_sizes: integers, ascending.
    """
    root = Path(root)
    names = sorted(path.name for path in root.iterdir() if path.name[0] != "." and versions(path))
    texts = {
        MODELS: models_config(names),
        BATCHING: batching_config(batch_sizes),
        MONITORING: MONITORING_TEXT,
    }
    for name, text in texts.items():
        with atomic_file(root / name, "w") as file:
            file.write(text)


def commands(root, model_name, two_stream):
    """The lines that start a server and ask it.

    Args:
        root: directory of the models' directories.
        model_name: under which the model is served.
        two_stream: whether requests say the modality.

    Returns:
        {"serve", "REST", "gRPC": one line each, to be typed where this program lies}.
    """
    modality = ', "modality": 1' if two_stream else ""
    codes = ", [1]" if two_stream else ""
    body = f'{{"instances": [{{"image_bytes": {{"b64": "%s"}}{modality}}}]}}'
    python = (
        f"from mmgl_tf.serving.client import GrpcClient; "
        f'print(GrpcClient("localhost", 8500, "{model_name}").embed(["person.jpg"]{codes}))'
    )
    return {
        "serve": (
            # The server asks nobody for a password: this machine only.
            f"docker run --rm -p 127.0.0.1:8500:8500 -p 127.0.0.1:8501:8501 "
            f"-v {shlex.quote(str(Path(root).resolve()))}:/models:ro {IMAGE} "
            f"--model_config_file=/models/{MODELS} --enable_batching "
            f"--batching_parameters_file=/models/{BATCHING} --monitoring_config_file=/models/{MONITORING}"
        ),
        # base64 without line ends; through a pipe, as an argument may not be longer than 128 KiB.
        "REST": (
            f"printf '{body}' \"$(base64 < person.jpg | tr -d '\\n')\" | "
            f"curl -s --data @- http://localhost:8501/v1/models/{model_name}:predict"
        ),
        "gRPC": f"python -c '{python}'",
    }
