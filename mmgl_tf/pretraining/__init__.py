"""Pre-training methods, by name. A new method is one file and one line here."""

from mmgl_tf.pretraining.colorization import Colorization
from mmgl_tf.pretraining.mmgl import Mmgl
from mmgl_tf.pretraining.supervised import Supervised

PRETRAINING = {
    "mmgl": Mmgl,
    "colorization": Colorization,
    "supervised": Supervised,
}
