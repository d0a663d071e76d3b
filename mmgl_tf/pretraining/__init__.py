"""Methods that train an encoder before identities do, by name. A new one is one file and one line here."""

from mmgl_tf.pretraining.barlow_twins import BarlowTwins
from mmgl_tf.pretraining.byol import Byol
from mmgl_tf.pretraining.colorization import Colorization
from mmgl_tf.pretraining.jigsaw import Jigsaw
from mmgl_tf.pretraining.mmgl import Mmgl
from mmgl_tf.pretraining.psl import Psl
from mmgl_tf.pretraining.simclr import SimClr
from mmgl_tf.pretraining.simsiam import SimSiam
from mmgl_tf.pretraining.supervised import Supervised
from mmgl_tf.pretraining.swav import SwAv

PRETRAINING = {
    "mmgl": Mmgl,
    "simclr": SimClr,
    "swav": SwAv,
    "byol": Byol,
    "simsiam": SimSiam,
    "barlow_twins": BarlowTwins,
    "colorization": Colorization,
    "supervised": Supervised,
    "jigsaw": Jigsaw,
    "psl": Psl,
}
