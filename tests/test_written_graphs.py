"""Graphs are traced as they are written, without AutoGraph.

Keras traces a step without it, so a graph with it is another than a run's; and it rewrites every layer that
it meets, which takes two thirds of the time that a first trace takes.
"""

import ast

from tests.test_architecture import ROOT, files, plant


def violations(root):
    """Places where `tf.function` does not say `autograph=False`."""
    found = []
    for path, text in files(root, ".py"):
        calls, named = set(), []
        for node in ast.walk(ast.parse(text, path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "tf.function":
                calls.add(node.func)
                off = [word for word in node.keywords if word.arg == "autograph"]
                if not off or ast.unparse(off[0].value) != "False":
                    found.append(f"{path}:{node.lineno}: say autograph=False")
            elif isinstance(node, ast.Attribute) and ast.unparse(node) == "tf.function":
                named.append(node)
        found += [f"{path}:{node.lineno}: say autograph=False" for node in named if node not in calls]
    return found


def test_every_graph_is_traced_as_it_is_written():
    assert not violations(ROOT), "\n".join(violations(ROOT))


def test_graphs_that_are_rewritten_are_found(tmp_path):
    plant(tmp_path, "modes/a.py", "import tensorflow as tf\n\n@tf.function\ndef f():\n    pass\n")
    plant(tmp_path, "modes/b.py", "import tensorflow as tf\n\nf = tf.function(len, autograph=True)\n")
    plant(tmp_path, "modes/c.py", "import tensorflow as tf\n\nf = tf.function(len, autograph=False)\n")
    assert [place.split(": ")[0] for place in violations(tmp_path)] == ["modes/a.py:3", "modes/b.py:3"]
