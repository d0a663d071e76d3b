"""Reads the pickle inside a PyTorch file as data. Nothing that the file names is imported or called.

A pickle is a program for a stack machine, and Python's own machine lets it import any name and call it. This
one is another machine, for a part of the language. Why a hostile file cannot do more here than fail:

- `pickletools.genops` splits the bytes into instructions; it looks nothing up and calls nothing. Lengths that
  a file declares are checked against the bytes that are there.
- An instruction that is not in `_Machine.STEPS` is refused. What torch.save writes needs no others.
- A global is never imported: it becomes a `Name`, two strings, and only those in `CALLED`, `UNREAD` and
  `STORAGES` of `torch_objects` are taken at all. "Calling" a `CALLED` name runs the function there that
  stands for it; calling an `UNREAD` one runs nothing.
- What can be on the stack is None, numbers, text, bytes, tuples, lists, dicts, and the inert classes of
  `torch_objects`. BUILD, which sets attributes in Python's machine, is dropped.
- Keys of dicts are text or whole numbers below 2^60, so that no nested key takes exponential time to hash and
  no file can choose numbers that share a hash.
- An instruction makes at most one object, of its own length and a few hundred bytes; items go from the stack
  into a dict, list or tuple once. None copies what the memo holds: what is recalled is shared. As the
  program's length is limited, memory is. The result may hold one dict at very many places, so whoever walks
  it must go by identity, as `torch_files` and `checkpoint` do, or pay for each place.
- Whole numbers have 255 bytes at most (LONG4 is refused), so that arithmetic and printing are cheap.
"""

import pickletools

from mmgl_tf.interchange.torch_objects import CALLED, STORAGES, UNREAD, Name, Storage, Unread, dict_key

MAX_BYTES = 4 * 2**20  # of the program; a ResNet-50's has 40 kB, one with an optimiser's state 200 kB


def read_pickle(data):
    """The object that a PyTorch file's pickle describes.

    Args:
        data: bytes.

    Returns:
        None, bool, int, float, str, bytes, tuple, list, dict, `TensorRecord` or `Unread`, nested.

    Raises:
        ValueError: the program is damaged, too long, or does what no file of weights needs.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"its description has {len(data)} bytes; more than {MAX_BYTES} is no description of weights. "
            "Save the state dict alone: torch.save(model.state_dict(), FILE)"
        )
    return _Machine().run(data)


class _Machine:
    """The stack machine; one for each program."""

    def __init__(self):
        self.stack = []
        self.marks = []  # heights of the stack at open MARKs
        self.memo = {}

    def run(self, data):
        """Runs a program; see `read_pickle`."""
        position = 0
        try:
            for opcode, argument, position in pickletools.genops(data):  # noqa: B007
                step = self.STEPS.get(opcode.name)
                if step is None:
                    raise ValueError(f"the instruction {opcode.name} is used by no file of weights")
                step(self, argument)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"its description fails at byte {position}: {error}") from error
        if len(self.stack) != 1 or self.marks:
            raise ValueError("its description leaves another number of objects than one")
        return self.stack[0]

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("an object is taken from an empty stack")
        return self.stack.pop()

    def pop_mark(self):
        """The objects above the last MARK, as a list."""
        if not self.marks:
            raise ValueError("a MARK is missing")
        height = self.marks.pop()
        found = self.stack[height:]
        del self.stack[height:]
        return found

    def top(self):
        value = self.pop()
        self.stack.append(value)
        return value

    def take(self, count):
        """The uppermost objects as a tuple, lowest first."""
        return tuple(reversed([self.pop() for _ in range(count)]))

    def remember(self, key):
        self.memo[key] = self.top()

    def recall(self, key):
        if key not in self.memo:
            raise ValueError(f"memo {key} is read before it is written")
        self.push(self.memo[key])

    def name(self, module, name):
        found = Name(module, name)
        known = found in CALLED or found in UNREAD or (module == "torch" and name in STORAGES)
        if type(module) is not str or type(name) is not str or not known:
            raise ValueError(
                f"it refers to {found}, which no file of weights needs; nothing was run. Ask its author "
                "for the weights alone: torch.save(model.state_dict(), FILE)"
            )
        self.push(found)

    def global_name(self, argument):
        self.name(*argument.split(" ", 1))

    def stack_name(self, _):
        name, module = self.pop(), self.pop()
        if type(module) is not str or type(name) is not str:
            raise ValueError("a global's name is no text")
        self.name(module, name)

    def call(self, _):
        arguments, called = self.pop(), self.pop()
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise ValueError(f"a {type(called).__name__} is called")
        if called in UNREAD:
            self.push(Unread())
        elif called in CALLED:
            try:
                self.push(CALLED[called](*arguments))
            except TypeError:
                raise ValueError(f"{called} is called with {len(arguments)} arguments") from None
        else:
            raise ValueError(f"{called} is called, which only names a type of storage")

    def storage(self, _):
        found = self.pop()
        kinds = (str, Name, str, str, int)
        if not isinstance(found, tuple) or tuple(map(type, found)) != kinds or found[0] != "storage":
            raise ValueError("a storage is described in an unknown way")
        _, kind, key, _, length = found
        if kind.module != "torch" or kind.name not in STORAGES or length < 0:
            raise ValueError(f"storage {key!r} is a {kind} of length {length}")
        self.push(Storage(key, STORAGES[kind.name], length))

    def forget_state(self, _):
        self.pop()
        if not isinstance(self.top(), (dict, Unread)):
            raise ValueError(f"a {type(self.top()).__name__} is given attributes")

    def extend(self, values):
        target = self.top()
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Unread):
            raise ValueError(f"a {type(target).__name__} is appended to")

    def set_items(self, values):
        target = self.top()
        if len(values) % 2 or not isinstance(target, (dict, Unread)):
            raise ValueError(f"items are set in a {type(target).__name__}")
        if isinstance(target, dict):
            target.update(zip(map(dict_key, values[::2]), values[1::2], strict=True))

    STEPS = dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda self, _: None)
    STEPS |= dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), push)
    STEPS |= dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), push)
    STEPS |= dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), push)
    STEPS |= dict.fromkeys(("BINPUT", "LONG_BINPUT"), remember)
    STEPS |= dict.fromkeys(("BINGET", "LONG_BINGET"), recall)
    STEPS |= dict.fromkeys(("REDUCE", "NEWOBJ"), call)
    STEPS |= {
        "NONE": lambda self, _: self.push(None),
        "NEWTRUE": lambda self, _: self.push(True),
        "NEWFALSE": lambda self, _: self.push(False),
        "EMPTY_DICT": lambda self, _: self.push({}),
        "EMPTY_LIST": lambda self, _: self.push([]),
        "EMPTY_TUPLE": lambda self, _: self.push(()),
        "EMPTY_SET": lambda self, _: self.push(Unread()),
        "TUPLE1": lambda self, _: self.push(self.take(1)),
        "TUPLE2": lambda self, _: self.push(self.take(2)),
        "TUPLE3": lambda self, _: self.push(self.take(3)),
        "MARK": lambda self, _: self.marks.append(len(self.stack)),
        "TUPLE": lambda self, _: self.push(tuple(self.pop_mark())),
        "APPEND": lambda self, _: self.extend([self.pop()]),
        "APPENDS": lambda self, _: self.extend(self.pop_mark()),
        "ADDITEMS": lambda self, _: self.extend(self.pop_mark()),
        "SETITEM": lambda self, _: self.set_items(self.take(2)),
        "SETITEMS": lambda self, _: self.set_items(self.pop_mark()),
        "MEMOIZE": lambda self, _: self.remember(len(self.memo)),
        "GLOBAL": global_name,
        "STACK_GLOBAL": stack_name,
        "BINPERSID": storage,
        "BUILD": forget_state,
    }
