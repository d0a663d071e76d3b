"""The command line: flags -> Config -> mode."""

import logging
import os
import sys

# Level 1 hides TensorFlow's start-up notes on CPU features and absent GPUs; warnings and errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

try:
    from absl import app
except ModuleNotFoundError:
    sys.exit("error: the packages are not installed; run `make install`, then use .venv/bin/python main.py")

from mmgl_tf.flags.definitions import USAGE, define_flags, parse_command_line, read_configs
from mmgl_tf.modes import MODES


def main(_):
    """Run the chosen mode; a mistake of the user's is one readable message, not a traceback."""
    # absl's `app.run` shows level INFO, at which TensorFlow tells of every file that it writes.
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    try:
        configs = read_configs()
        if not configs[0].run.mode:
            print(USAGE)
            return 2
        return MODES[configs[0].run.mode](*configs)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        if os.environ.get("MMGL_TRACEBACK"):
            raise
        print(f"\nerror: {error}\n(set MMGL_TRACEBACK=1 to see where it came from)", file=sys.stderr)
        return 1


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=parse_command_line)
