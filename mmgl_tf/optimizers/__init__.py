"""Update rules along PyTorch's trajectories, learning-rate schedules, loss scaling."""

from mmgl_tf.optimizers.lars import Lars
from mmgl_tf.optimizers.torch_adam import TorchAdam
from mmgl_tf.optimizers.torch_sgd import TorchSGD

# What a method or a setting selects by name.
OPTIMIZERS = {"sgd": TorchSGD, "adam": TorchAdam, "lars": Lars}
