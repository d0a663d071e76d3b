"""MMGL in Keras 3 on TensorFlow: encoders, losses, training, pictures.

In a checkout `flags/`, `pipelines/` and `modes/` stand beside this folder, as the design of the project has
it. Under their import names they are inside: `mmgl_tf.pipelines`. An installed copy then needs no other
name than `mmgl_tf` in site-packages, and not a line differs between the two.
"""

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]
if (_CHECKOUT / "pipelines" / "__init__.py").is_file():
    __path__.append(str(_CHECKOUT))
