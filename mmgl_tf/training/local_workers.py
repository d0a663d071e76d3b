"""The launcher under its earlier name; it is `python -m mmgl_tf.machines.local_workers` now."""

import sys

from mmgl_tf.machines.local_workers import main

if __name__ == "__main__":
    sys.exit(main())
