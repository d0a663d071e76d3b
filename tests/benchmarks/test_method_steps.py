from types import SimpleNamespace

from benchmarks.method_steps import configuration
from mmgl_tf.flags.config import defaults, to_flat


def test_what_is_stated_for_the_default_batch_grows_with_the_batch():
    def queue(batch):
        arguments = SimpleNamespace(backbone="resnet50", batch=batch)
        return to_flat(configuration("swav", arguments, 288, 144))["swav_queue_size"]

    usual = defaults()
    assert queue(usual["batch_size"]) == usual["swav_queue_size"]
    assert queue(8) == 640, "a multiple of the 16 images of a step"
