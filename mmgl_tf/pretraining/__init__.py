"""Self-supervised methods, by name. A new method is one file and one line here."""

from mmgl_tf.pretraining.mmgl import Mmgl

PRETRAINING = {"mmgl": Mmgl}
