"""What a person can use of a message of TensorFlow's."""

import re

_PLACE = re.compile(r"\{\{function_node \S+\}\} ?")
_PYTHON_ERROR = re.compile(r"\s*((?:\w+\.)*\w+(?:Error|Exception): .+)")
_FIRST_OF_SEVERAL = re.compile(r"\s*\(0\) (.+)")
_FRAME = re.compile(r"(Graph execution error:|Detected at node |\d+ root error\(s\) found|Traceback )")


def plain_reason(message):
    """The line of a message that says what happened.

    TensorFlow puts the places in the code where an operation was made before it, and the operation's name
    behind it; Python's errors inside of an operation come with their own traceback.

    Args:
        message: of a `tf.errors.OpError`.

    Returns:
        That of the Python error inside, if there is one; else of the first of several errors, if so told;
        else the first line that belongs to no traceback; else "no message".
    """
    lines = [line.rstrip() for line in _PLACE.sub("", message).splitlines() if line.strip()]
    for pattern in (_PYTHON_ERROR, _FIRST_OF_SEVERAL):
        for line in lines:
            if found := pattern.match(line):
                return found[1]
    plain = [line for line in lines if not line[0].isspace() and not _FRAME.match(line)]
    return (plain or [line.strip() for line in lines] or ["no message"])[0]
