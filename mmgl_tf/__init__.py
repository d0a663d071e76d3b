"""MMGL in Keras 3 on TensorFlow: encoders, losses, training, pictures."""
