"""Speed and difficulty, measured: each module prints a table."""

import os

# As in main.py: hides TensorFlow's start-up notes, not its warnings.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
