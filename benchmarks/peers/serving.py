"""The exported network in PyTorch, ONNX Runtime and OpenVINO, as the peers of `benchmarks.serving`.

Each peer is made by a function that imports its package, and is itself a function of decoded images, float32
[B, H, W, 3] in 0..255, that returns their embeddings, float32 [B, D]. All have one thread and the stem of the
visible images only.
"""

import io

import numpy as np

from mmgl_tf.pipelines.decode import MEAN, SCALE, SHIFT, STD

OPSET = 17


def decoded(encoded, height, width):
    """Files as the peers' users read them, with Pillow: Lanczos with antialiasing, as ours.

    Args:
        encoded: list of bytes [B].
        height, width: wanted, pixels.

    Returns:
        float32 [B, height, width, 3], 0..255.
    """
    from PIL import Image

    images = [Image.open(io.BytesIO(file)).convert("RGB") for file in encoded]
    resized = [image.resize((width, height), Image.Resampling.LANCZOS) for image in images]
    return np.stack([np.asarray(image, np.float32) for image in resized])


def torch_peer(embedder, precision):
    """The network in PyTorch, eager, channels last, batch norms as they are.

    Args:
        embedder: built `mmgl_tf.finetuning.embedder.Embedder` without non-local blocks and generalised mean.
        precision: "float32" or "bfloat16"; pooling and neck are float32 in either.

    Returns:
        Function, see the module.

    Raises:
        ImportError: PyTorch is not installed.
    """
    import torch
    from torch.nn import functional

    from benchmarks.peers import train_step as train_step_peer
    from mmgl_tf.backbones import BACKBONES
    from mmgl_tf.serving.folded_layers import affine

    plan, encoder = BACKBONES[embedder.encoder.backbone], embedder.encoder
    trunk = train_step_peer.Encoder(
        plan.block, plan.depths, plan.widths, plan.strides, plan.stem_width, plan.stem_kernel_size
    )
    weights = {
        f"{stem}/{v.path.split('/', 2)[2]}": v.numpy()
        for stem in ("stem_visible", "stem_infrared")
        for v in encoder.stems["visible"].weights
    }
    weights |= {v.path.split("/", 1)[1]: v.numpy() for stage in encoder.stages for v in stage.weights}
    train_step_peer.take_weights(trunk, weights)
    dtype = getattr(torch, precision)
    trunk = trunk.to(dtype).to(memory_format=torch.channels_last).eval()
    mean, std = (255 * torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    scale, shift = (torch.from_numpy(value.astype(np.float32)) for value in affine(embedder.neck))
    layers = [trunk.stem_visible, trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4]

    @torch.inference_mode()
    def embed(images):
        x = ((torch.from_numpy(images).permute(0, 3, 1, 2) - mean) / std).to(dtype)
        for layer in layers:
            x = layer(x)
        return functional.normalize(x.float().mean((2, 3)) * scale + shift).numpy()

    return embed


def onnx_model(network):
    """The network as an ONNX graph, batch norms folded, for images as the module has them.

    Args:
        network: float32 `mmgl_tf.serving.inference_network.InferenceNetwork` without non-local blocks and
            generalised mean.

    Returns:
        Bytes of the model; its number of images is named "B".

    Raises:
        ImportError: onnx is not installed.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, values = [], []

    def constant(value):
        values.append(numpy_helper.from_array(np.ascontiguousarray(value), f"value_{len(values)}"))
        return values[-1].name

    def node(kind, *inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"node_{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def convolution(conv, x, add=None, relu=True):
        kernel = conv.kernel.numpy().transpose(3, 2, 0, 1)
        pads, strides = 4 * [kernel.shape[-1] // 2], 2 * [conv.strides]
        x = node("Conv", x, constant(kernel), constant(conv.bias.numpy()), pads=pads, strides=strides)
        x = x if add is None else node("Add", x, add)
        return node("Relu", x) if relu else x

    x = node("Add", node("Mul", "images", constant(SCALE)), constant(SHIFT))
    stem = network.stems["visible"]
    x = convolution(stem.conv, node("Transpose", x, perm=[0, 3, 1, 2]))
    pool = stem.pool
    window = {"kernel_shape": 2 * [pool.pool_size], "strides": 2 * [pool.strides], "pads": 4 * [pool.padding]}
    x = node("MaxPool", x, **window)
    for block in network.trunk:
        shortcut = x if block.shortcut is None else convolution(block.shortcut, x, relu=False)
        *inner, last = block.convs
        for conv in inner:
            x = convolution(conv, x)
        x = convolution(last, x, add=shortcut)
    x = node("Flatten", node("GlobalAveragePool", x))
    x = node("Add", node("Mul", x, constant(network.scale.numpy())), constant(network.shift.numpy()))
    x = node("LpNormalization", x, axis=1, p=2)
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", "H", "W", 3])]
    outputs = [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["B", network.num_features])]
    graph = helper.make_graph(nodes, "embedder", inputs, outputs, values)
    # The version of the file format that came with the operators' own: older runtimes read it.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def onnxruntime_peer(model, shape):
    """ONNX Runtime on one thread.

    Args:
        model: of `onnx_model`.
        shape: (B, H, W) of the images, fixed, as it is fastest.

    Returns:
        Function, see the module.

    Raises:
        ImportError: onnxruntime is not installed.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for name, size in zip("BHW", shape, strict=True):
        options.add_free_dimension_override_by_name(name, size)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def openvino_peer(model, shape, precision):
    """OpenVINO on one thread.

    Args:
        model: of `onnx_model`.
        shape: (B, H, W) of the images, fixed, as it is fastest.
        precision: "float32" or "bfloat16", the hint for the whole graph.

    Returns:
        Function, see the module.

    Raises:
        ImportError: openvino is not installed.
    """
    import openvino

    core = openvino.Core()
    graph = core.read_model(io.BytesIO(model))
    graph.reshape([*shape, 3])
    hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
    settings = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # the process is pinned
    }
    request = core.compile_model(graph, "CPU", settings).create_infer_request()
    return lambda images: request.infer([images], share_inputs=True)[0].copy()
