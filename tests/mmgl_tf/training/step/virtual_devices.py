"""The program on virtual devices of this processor, for a test.

python -m tests.mmgl_tf.training.step.virtual_devices NUMBER [flag of main.py ...]
"""

import runpy
import sys

import tensorflow as tf

if __name__ == "__main__":
    (processor,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * int(sys.argv.pop(1))
    tf.config.set_logical_device_configuration(processor, parts)
    runpy.run_path("main.py", run_name="__main__")
