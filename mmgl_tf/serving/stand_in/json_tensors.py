"""TF Serving's JSON forms of a Predict request and its answer.

Source: https://www.tensorflow.org/tfx/serving/api_rest. `instances` lists rows, each with a value of every
input, and is answered by `predictions`; `inputs` gives whole tensors, and is answered by `outputs`. Where
the signature has one input or output, its name may be, respectively is, left out.
"""

import base64
import binascii
import json

import numpy as np
import tensorflow as tf

from mmgl_tf.serving.stand_in.refusal import Refusal

SHOWN = 60  # characters of a wrong value in a message


def _wrong(cause):
    return Refusal("INVALID_ARGUMENT", cause)


def read_request(body):
    """Parses a request's body.

    Args:
        body: bytes.

    Returns:
        (signature name, "instances" or "inputs", the value of that key).

    Raises:
        Refusal: it is not JSON, or neither form.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"JSON Parse error: {error}") from error
    if not isinstance(parsed, dict):
        raise _wrong(f"the request is a JSON {type(parsed).__name__}; expected an object")
    name = parsed.get("signature_name", "")
    if not isinstance(name, str):
        raise _wrong(f"JSON Value: {_shown(name)}: 'signature_name' key must be a string value.")
    forms = [key for key in ("instances", "inputs") if key in parsed]
    if len(forms) != 1:
        raise _wrong(f"expected one of the keys 'instances' and 'inputs'; found {forms or sorted(parsed)}")
    return name, forms[0], parsed[forms[0]]


def tensors(form, value, signature):
    """The inputs of a request.

    Args:
        form: "instances" or "inputs".
        value: what stands there.
        signature: SignatureDef.

    Returns:
        {input name: array of the signature's dtype}.

    Raises:
        Refusal: a value is no such tensor.
    """
    columns = _columns(value, signature) if form == "instances" else value
    if not isinstance(columns, dict) or (len(columns) == 1 and "b64" in columns):
        columns = {_only(signature.inputs, "input"): columns}
    unknown = sorted(set(columns) - set(signature.inputs))
    if unknown:
        raise _wrong(f"unknown inputs: {', '.join(unknown)}; expected {', '.join(sorted(signature.inputs))}")
    return {
        name: _array(column, tf.dtypes.as_dtype(signature.inputs[name].dtype), name)
        for name, column in columns.items()
    }


def _columns(rows, signature):
    """[{name: value}, ...] -> {name: [value, ...]}; rows of a single value become its list."""
    if not isinstance(rows, list) or not rows:
        raise _wrong(f"'instances' is {_shown(rows)}; expected a list of at least one instance")
    named = [isinstance(row, dict) and not (len(row) == 1 and "b64" in row) for row in rows]
    if not any(named):
        return {_only(signature.inputs, "input"): rows}
    names = set(rows[0]) if named[0] else set()
    for number, row in enumerate(rows):
        if not named[number] or set(row) != names:
            raise _wrong(f"instance {number} has other inputs than instance 0; expected {sorted(names)}")
    return {name: [row[name] for row in rows] for name in names}


def _only(entries, what):
    if len(entries) != 1:
        raise _wrong(
            f"values without a name, but the signature has {len(entries)} {what}s: {sorted(entries)}"
        )
    return next(iter(entries))


def _array(value, dtype, name):
    if dtype == tf.string:
        return _string_array(value, name)
    try:
        found = np.array(value)
    except ValueError as error:
        raise _wrong(f"input {name}: lists of unequal lengths ({error})") from error
    kinds = "iuf" if dtype.is_floating else ("b" if dtype.is_bool else "iu")
    if found.dtype.kind not in kinds and found.size:
        raise _wrong(f"JSON Value: {_shown(value)} of input {name} is not of expected type: {dtype.name}")
    limits = None if dtype.is_bool else (dtype.min, dtype.max)
    if limits and found.size and not (found.min() >= limits[0] and found.max() <= limits[1]):
        raise _wrong(f"JSON Value: {_shown(value)} of input {name} is outside of {dtype.name}'s range")
    return found.astype(dtype.as_numpy_dtype)


def _string_array(value, name):
    """Object array of bytes, of the nested lists' shape."""
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    leaves = []
    _gather(value, shape, 0, leaves, name)
    found = np.empty(len(leaves), object)
    found[:] = leaves
    return found.reshape(shape)


def _gather(value, shape, level, leaves, name):
    if level < len(shape):
        if not isinstance(value, list) or len(value) != shape[level]:
            raise _wrong(f"input {name}: lists of unequal lengths or depths; expected the shape {shape}")
        for each in value:
            _gather(each, shape, level + 1, leaves, name)
    elif isinstance(value, str):
        leaves.append(value.encode())
    elif isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        leaves.append(_from_base64(value["b64"], name))
    else:
        raise _wrong(
            f'JSON Value: {_shown(value)} of input {name} is no string; binary goes as {{"b64": "..."}}'
        )


def _from_base64(text, name):
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)  # padding may be left out
    except (binascii.Error, ValueError) as error:
        raise _wrong(
            f"Unable to base64 decode input {name}: {_shown(text)} ({error}); expected standard base64"
        ) from error


def _shown(value):
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def write_answer(form, outputs):
    """An answer's body.

    Args:
        form: of the request.
        outputs: {output name: array}.

    Returns:
        bytes.
    """
    lists = {name: _jsonable(value, name) for name, value in outputs.items()}
    if form == "inputs":
        return json.dumps({"outputs": lists if len(lists) > 1 else next(iter(lists.values()))}).encode()
    if len(lists) == 1:
        return json.dumps({"predictions": next(iter(lists.values()))}).encode()
    rows = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    return json.dumps({"predictions": rows}).encode()


def _jsonable(value, name):
    """Nested lists; bytes as {"b64": ...} where the output's name ends in _bytes, as text otherwise."""
    if value.dtype != object:
        return value.tolist()

    def convert(item):
        if isinstance(item, list):
            return [convert(each) for each in item]
        return {"b64": base64.b64encode(item).decode()} if name.endswith("_bytes") else item.decode()

    return convert(value.tolist())
