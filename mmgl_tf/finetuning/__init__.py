"""Fine-tuning methods. A new one is one file and one line in `FINETUNING`."""

from mmgl_tf.finetuning.agw import Agw
from mmgl_tf.finetuning.baseline import OneStream, TwoStream
from mmgl_tf.finetuning.caj import Caj
from mmgl_tf.finetuning.ddag import Ddag
from mmgl_tf.finetuning.mpanet import MpaNet
from mmgl_tf.finetuning.nfs import Nfs
from mmgl_tf.finetuning.vcd import Vcd

# What --method selects: a `FinetuningModel` each.
FINETUNING = {
    "one_stream": OneStream,
    "two_stream": TwoStream,
    "agw": Agw,
    "ddag": Ddag,
    "mpanet": MpaNet,
    "vcd": Vcd,
    "caj": Caj,
    "nfs": Nfs,
}
