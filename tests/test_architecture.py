"""The house rules, read from the source: who may import whom, and how files are named and sized.

Each rule is a function of a root directory, so that the doctored trees below show that it can fail.
"""

import ast
import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_OURS = {"runs", "cache", "data", "venv", "__pycache__"}  # made by running, not by us
OPTIONAL = ("torch", "torchvision")  # not in requirements.txt: imported where needed, never at the top
MAX_LINES, MAX_MAIN_LINES = 300, 60
LAZY_NAMES = re.compile(r"^_*(utils?|commons?|misc|helpers?)(_.*)?$|^.*_(utils?|commons?|misc|helpers?)$")
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|work|Users)/")
ABOVE = ("absl", "main", "mmgl_tf.modes", "tests", "benchmarks", "experiments")

# (files below this path, may not import, except). The first column of the architecture's table, spelt out.
BESIDE = ("flags", "modes", "pipelines")
CONFIG = "mmgl_tf.flags.config"
# What a method says of its batches, as data; how they are made is none of its business.
DESCRIPTIONS = (
    "mmgl_tf.pipelines.batches.recipe",
    "mmgl_tf.pipelines.augmentation",
    "mmgl_tf.pipelines.records",
)
RULES = (
    ("pipelines/", ("keras", "mmgl_tf", *ABOVE), ("mmgl_tf.pipelines", CONFIG)),
    ("mmgl_tf/", ("mmgl_tf.flags", *ABOVE), (CONFIG,)),
    ("mmgl_tf/losses/", ("mmgl_tf",), ("mmgl_tf.losses",)),
    ("mmgl_tf/layers/", ("mmgl_tf",), ("mmgl_tf.layers",)),
    ("mmgl_tf/optimizers/", ("mmgl_tf",), ("mmgl_tf.optimizers",)),
    # Stems and the rows of a batch go by the modalities of the records.
    ("mmgl_tf/backbones/", ("mmgl_tf.pipelines",), ("mmgl_tf.pipelines.records",)),
    ("mmgl_tf/pretraining/", ("mmgl_tf.pipelines",), DESCRIPTIONS),
    ("mmgl_tf/finetuning/", ("mmgl_tf.pipelines",), DESCRIPTIONS),
    # NumPy and SciPy alone: what is scored must not depend on who computed the embeddings.
    ("mmgl_tf/retrieval/", ("tensorflow", "keras", "mmgl_tf.pipelines", "mmgl_tf.flags"), ()),
    ("modes/", ("absl", "main", "tests", "benchmarks", "experiments"), ()),
    ("", ("tensorflow.keras",), ()),  # Keras 3 comes from `import keras`; two Keras in one process disagree
    # Parts of mmgl_tf that stand beside it in a checkout: under two names a module would run twice.
    ("", BESIDE, ()),
)


def files(root, *suffixes):
    """Our files as (path below the root, text), sorted."""
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in NOT_OURS)
        for name in sorted(names):
            if name.endswith(suffixes):
                path = Path(directory, name)
                yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def within(name, prefixes):
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def imports(path, text):
    """Every import of a file as (dotted name, line, whether it runs when the file is imported)."""
    tree = ast.parse(text, path)
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for child in ast.walk(node)
    }
    package = path.removesuffix(".py").split("/")[:-1]
    if package and package[0] in BESIDE:
        package = ["mmgl_tf", *package]
    for node in ast.walk(tree):
        found = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            found = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr == "keras":
            found = ["tensorflow.keras"] if node.value.id in ("tf", "tensorflow") else []
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found = [str(node.args[0].value)] if called in ("import_module", "__import__") else []
        for name in found:
            yield name, node.lineno, node not in inside


def import_violations(root):
    """Imports that break a rule, as "path:line: ...", one line each."""
    problems = []
    for path, text in files(root, ".py"):
        for name, line, at_top in imports(path, text):
            where = f"{path}:{line}: imports {name}"
            if path.startswith("flags/"):
                allowed = {*sys.stdlib_module_names} | ({"absl"} if path == "flags/definitions.py" else set())
                if name.split(".")[0] not in allowed and not within(name, ("mmgl_tf.flags",)):
                    problems.append(
                        f"{where}; flags may import the standard library, and absl in definitions.py"
                    )
            rules = RULES[-1:] if path.startswith("tests/") else RULES
            for below, banned, excepted in rules:
                if path.startswith(below) and within(name, banned) and not within(name, excepted):
                    problems.append(f"{where}; not allowed {'in ' + below if below else 'anywhere'}")
            # A peer is itself imported where it is needed; benchmarks.train_step does.
            if path.startswith("tests/"):
                continue
            if at_top and within(name, OPTIONAL) and not path.startswith("benchmarks/peers/"):
                problems.append(
                    f"{where} at the top; import an optional package in the function that needs it"
                )
    return problems


def name_violations(root):
    """Files and folders whose name says nothing."""
    parts = {
        path if part == Path(path).name else path[: path.index(part) + len(part)]
        for path, _ in files(root, ".py", ".md")
        for part in path.split("/")
        if LAZY_NAMES.match(part.split(".")[0])
    }
    return [f"{part}: name it after its one idea" for part in sorted(parts)]


def length_violations(root):
    """Python files that hold more than one idea, by their length."""
    problems = []
    for path, text in files(root, ".py"):
        lines, limit = text.count("\n"), MAX_MAIN_LINES if path == "main.py" else MAX_LINES
        if lines > limit:
            problems.append(f"{path}: {lines} lines, at most {limit}; split it by idea")
    return problems


def machine_path_violations(root):
    """Directories of somebody's machine, written into our files."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in files(root, ".py", ".md", ".toml", ".txt", ".yml", ".yaml", "Makefile")
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]


@pytest.mark.parametrize(
    "rule", [import_violations, name_violations, length_violations, machine_path_violations]
)
def test_the_tree_keeps_the_rule(rule):
    assert any(path == "main.py" for path, _ in files(ROOT, ".py"))
    problems = rule(ROOT)
    assert not problems, "\n".join(problems)


def test_what_is_registered_is_what_the_flags_offer():
    from mmgl_tf.finetuning import FINETUNING
    from mmgl_tf.flags import methods
    from mmgl_tf.flags.config import Data, Run
    from mmgl_tf.modes import MODES
    from mmgl_tf.pipelines import DATASETS
    from mmgl_tf.pretraining import PRETRAINING

    offered = {kind: kind.__dataclass_fields__ for kind in (Data, Run)}
    assert set(FINETUNING) == set(methods.FINETUNING)
    assert set(PRETRAINING) == set(methods.PRETRAINING)
    assert set(DATASETS) == set(offered[Data]["dataset"].metadata["choices"])
    assert set(MODES) == set(offered[Run]["mode"].metadata["choices"])


def test_troubleshooting_names_only_flags_that_exist():
    from mmgl_tf.flags.config import settings

    known = {"helpshort"} | {entry.name for _, entry in settings()}
    known |= {f"no{entry.name}" for _, entry in settings() if isinstance(entry.default, bool)}
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    named = set(re.findall(r"--([a-z_]+)", text))
    assert named
    assert named <= known, sorted(named - known)


def plant(root, path, text):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("flags/config.py", "import tensorflow as tf"),
        ("flags/config.py", "from absl import flags"),
        ("main.py", "from flags.config import Config"),
        ("tests/test_x.py", "import pipelines.decode"),
        ("mmgl_tf/optimizers/lars.py", "from mmgl_tf.training.step.model import TrainingModel"),
        ("flags/definitions.py", "import numpy"),
        ("flags/definitions.py", "from mmgl_tf.pipelines import DATASETS"),
        ("pipelines/batches/build.py", "import keras"),
        ("pipelines/batches/build.py", "import tensorflow as tf\ntf.keras.layers.Dense(1)"),
        ("pipelines/batches/build.py", "from tensorflow import keras"),
        ("pipelines/batches/build.py", "def late():\n    from mmgl_tf.losses import permutation"),
        ("pipelines/batches/build.py", "from mmgl_tf.flags import definitions"),
        ("pipelines/synthetic/draw.py", "from absl import logging"),
        ("mmgl_tf/losses/part.py", "from mmgl_tf import layers"),
        ("mmgl_tf/losses/part.py", "from ..layers.heads import Head"),
        ("mmgl_tf/layers/head.py", "from mmgl_tf.losses.part import part_loss"),
        ("mmgl_tf/layers/head.py", "import mmgl_tf.backbones"),
        ("mmgl_tf/layers/head.py", "from mmgl_tf.flags.config import Mmgl"),
        ("mmgl_tf/layers/head.py", "import importlib\nimportlib.import_module('mmgl_tf.pipelines.build')"),
        ("mmgl_tf/backbones/encoder.py", "from mmgl_tf.pipelines.batches.recipe import View"),
        ("mmgl_tf/pretraining/mmgl.py", "from mmgl_tf.pipelines.decode import normalise"),
        ("mmgl_tf/pretraining/mmgl.py", "from mmgl_tf.pipelines.batches.training_batches import x"),
        ("mmgl_tf/pretraining/mmgl.py", "from mmgl_tf.flags.definitions import FLAGS"),
        ("mmgl_tf/finetuning/agw.py", "import mmgl_tf.pipelines"),
        ("mmgl_tf/training/fit.py", "from absl import flags"),
        ("mmgl_tf/training/fit.py", "from mmgl_tf.modes.pretrain import pretrain"),
        ("mmgl_tf/retrieval/metrics.py", "import tensorflow"),
        ("mmgl_tf/retrieval/protocols.py", "from keras import ops"),
        ("mmgl_tf/retrieval/reranking.py", "from mmgl_tf.pipelines.records import Protocol"),
        ("modes/training/finetune.py", "from experiments.running import Engine"),
        ("mmgl_tf/serving/torch_checkpoints.py", "import torch"),
        ("benchmarks/train_step.py", "try:\n    import torch\nexcept ImportError:\n    torch = None"),
        ("modes/training/pretrain.py", "from absl import app"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, path, source):
    plant(tmp_path, path, source)
    problems = import_violations(tmp_path)
    assert len(problems) >= 1
    assert all(problem.startswith(f"{path}:") for problem in problems)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("main.py", "from absl import app\nfrom mmgl_tf.modes import MODES"),
        ("flags/definitions.py", "from absl import flags\nfrom mmgl_tf.flags.config import Data"),
        (
            "pipelines/batches/build.py",
            "import tensorflow as tf\nfrom mmgl_tf.pipelines.decode import normalise",
        ),
        (
            "mmgl_tf/losses/part.py",
            "import keras\nimport tensorflow as tf\nfrom mmgl_tf.losses.permutation import x",
        ),
        ("mmgl_tf/layers/head.py", "from .pooling import Pooling"),
        (
            "mmgl_tf/pretraining/mmgl.py",
            "from mmgl_tf.layers import head\nfrom mmgl_tf.flags.config import Mmgl",
        ),
        (
            "mmgl_tf/finetuning/agw.py",
            "from mmgl_tf.pipelines.batches.recipe import View\n"
            "from mmgl_tf.pipelines.augmentation.operations.erase import Erase",
        ),
        ("mmgl_tf/serving/torch_checkpoints.py", "def load():\n    import torch\n    return torch"),
        ("tests/test_peer.py", "import torch\nfrom mmgl_tf.losses import permutation"),
        (".venv/lib/broken.py", "import flags from nowhere"),
    ],
)
def test_an_allowed_import_is_left_alone(tmp_path, path, source):
    plant(tmp_path, path, source)
    assert import_violations(tmp_path) == []


@pytest.mark.parametrize(
    "path", ["mmgl_tf/utils.py", "pipelines/helpers/x.py", "flags/io_utils.py", "tests/common.py"]
)
def test_a_name_that_says_nothing_is_found(tmp_path, path):
    plant(tmp_path, path, "")
    assert len(name_violations(tmp_path)) == 1
    plant(tmp_path, "mmgl_tf/commonsense.py", "")
    assert len(name_violations(tmp_path)) == 1


def test_long_files_and_machine_paths_are_found(tmp_path):
    plant(tmp_path, "main.py", "\n" * 61)
    plant(tmp_path, "flags/config.py", "\n" * 301)
    plant(tmp_path, "flags/fits.py", "\n" * 300)
    plant(
        tmp_path, "docs/a.md", "see " + "/ho" + "me/somebody/data, but not runs/work/ or https://x.org/home/"
    )
    plant(tmp_path, "docs/b.md", "runs/work/ and https://x.org/home/")
    assert [problem.split(":")[0] for problem in length_violations(tmp_path)] == [
        "main.py",
        "flags/config.py",
    ]
    assert [problem.split(":")[0] for problem in machine_path_violations(tmp_path)] == ["docs/a.md"]
