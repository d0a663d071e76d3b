"""A method that MMGL is compared with is known by its own files alone, read from the source."""

import ast

from mmgl_tf.flags.methods import DEFAULTS, PRETRAINING
from tests.test_architecture import ROOT, files, plant

COMPARED = set(PRETRAINING) - set(DEFAULTS.values())
# Its settings and its network, and the paper's tables as data.
OWN = ("flags/methods/", "mmgl_tf/pretraining/", "mmgl_tf/retrieval/published_tables.py", "tests/")


def violations(root):
    """Strings that are such a method's name, elsewhere."""
    return [
        f"{path}:{node.lineno}: names {node.value}; ask its settings or its class instead"
        for path, text in files(root, ".py")
        if not path.startswith(OWN)
        for node in ast.walk(ast.parse(text, path))
        if isinstance(node, ast.Constant) and node.value in COMPARED
    ]


def test_no_file_names_the_compared_methods():
    assert len(COMPARED) >= 9
    assert not violations(ROOT), "\n".join(violations(ROOT))


def test_a_method_that_is_wired_elsewhere_is_found(tmp_path):
    plant(tmp_path, "benchmarks/steps.py", 'if method == "swav":\n    queue = 1\n')
    plant(tmp_path, "modes/identity.py", 'TOLD = ("supervised",)\n')
    plant(tmp_path, "mmgl_tf/pretraining/swav.py", 'NAME = "swav"\n')
    plant(tmp_path, "experiments/catalogue.py", 'KNOWN = "mmgl"  # not "swav"\n')
    assert [found.split(": ")[0] for found in violations(tmp_path)] == [
        "benchmarks/steps.py:1",
        "modes/identity.py:1",
    ]
