"""The same network, losses and optimiser in plain PyTorch (eager), as the peer of `benchmarks.train_step`.

Two-stream ResNet, permutation head with Gumbel-Sinkhorn, one stripe projection with batch norm, part
classifier; matrix loss summed, part cross-entropy, part-aware cycle contrast; SGD with momentum and weight
decay. Modules have the names of our layers, so that weights can be copied by name.
"""

import torch
from torch import nn
from torch.nn import functional

STRIPES = 6
EMBEDDING_SIZE = 256
ITERATIONS, SAMPLES = 20, 10
TEMPERATURE = 0.07
CONTRAST_WEIGHT = 0.2


def _conv(inputs, outputs, size, stride=1):
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class Block(nn.Module):
    """A basic (3x3, 3x3) or a bottleneck (1x1, 3x3, 1x1) block with its shortcut."""

    def __init__(self, kind, inputs, width, stride):
        super().__init__()
        self.depth = 3 if kind == "bottleneck" else 2
        outputs = 4 * width if kind == "bottleneck" else width
        if kind == "bottleneck":
            plan = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        else:
            plan = [(inputs, width, 3, stride), (width, width, 3, 1)]
        for i, (channels, filters, size, step) in enumerate(plan, 1):
            setattr(self, f"conv{i}", _conv(channels, filters, size, step))
            setattr(self, f"bn{i}", nn.BatchNorm2d(filters))
        self.project = stride != 1 or inputs != outputs
        if self.project:
            self.downsample_conv = _conv(inputs, outputs, 1, stride)
            self.downsample_bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        """[B, C, H, W] -> [B, C', H / stride, W / stride]."""
        shortcut = self.downsample_bn(self.downsample_conv(x)) if self.project else x
        for i in range(1, self.depth + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            if i < self.depth:
                x = functional.relu(x)
        return functional.relu(x + shortcut)


class Stem(nn.Module):
    """Convolution, batch norm, ReLU, max pool."""

    def __init__(self, width, kernel_size):
        super().__init__()
        self.conv1 = _conv(3, width, kernel_size, 2)
        self.bn1 = nn.BatchNorm2d(width)

    def forward(self, x):
        """[B, 3, H, W] -> [B, width, H / 4, W / 4]."""
        return functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)


class Encoder(nn.Module):
    """Two stems and a shared trunk.

    Args:
        block: "basic" or "bottleneck".
        depths, widths, strides: of the four stages.
        stem_width: channels of the stems.
        stem_kernel_size: of the stems' convolution, pixels.
    """

    def __init__(self, block, depths, widths, strides, stem_width, stem_kernel_size):
        super().__init__()
        self.stem_visible = Stem(stem_width, stem_kernel_size)
        self.stem_infrared = Stem(stem_width, stem_kernel_size)
        channels = stem_width
        for i, (depth, width, stride) in enumerate(zip(depths, widths, strides, strict=True), 1):
            blocks = []
            for j in range(depth):
                blocks.append(Block(block, channels, width, stride if j == 0 else 1))
                channels = 4 * width if block == "bottleneck" else width
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
        self.num_features = channels

    def forward(self, visible, infrared):
        """Two of [B, 3, H, W] -> [2B, C, h, w]."""
        x = torch.cat([self.stem_visible(visible), self.stem_infrared(infrared)])
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Mmgl(nn.Module):
    """Encoder, heads and the summed loss of one batch.

    Args:
        encoder: `Encoder`.
        noise_scale: factor of the Gumbel noise.
    """

    def __init__(self, encoder, noise_scale=1.0):
        super().__init__()
        self.encoder = encoder
        self.noise_scale = noise_scale
        self.affinity = nn.Linear(encoder.num_features, STRIPES * STRIPES)
        self.projection = nn.Linear(encoder.num_features, EMBEDDING_SIZE, bias=False)
        self.projection_norm = nn.BatchNorm1d(EMBEDDING_SIZE)
        self.part_classifier = nn.Linear(EMBEDDING_SIZE, STRIPES)

    def forward(self, visible, infrared, permutation, precision=torch.float32):
        """Total loss.

        Args:
            visible, infrared: float32 [B, 3, H, W].
            permutation: int64 [2B, STRIPES].
            precision: torch.bfloat16 runs the encoder under autocast; the heads are float32.
        """
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            features = self.encoder(visible, infrared)
        features = features.float()
        logits = self.affinity(features.mean((2, 3))).view(-1, STRIPES, STRIPES)
        stripes = functional.adaptive_avg_pool2d(features, (STRIPES, 1)).squeeze(3).transpose(1, 2)
        embeddings = self.projection_norm(self.projection(stripes).flatten(0, 1)).view(*stripes.shape[:2], -1)
        parts = functional.normalize(embeddings, dim=-1)
        part_logits = self.part_classifier(embeddings)
        half = len(parts) // 2
        return (
            self._permutation_loss(logits, permutation)
            + functional.cross_entropy(part_logits.flatten(0, 1), permutation.flatten())
            + CONTRAST_WEIGHT
            * (contrast(parts[:half], parts[half:]) + contrast(parts[half:], parts[:half]))
            / 2
        )

    def _permutation_loss(self, logits, permutation):
        samples = SAMPLES if self.noise_scale else 1
        noise = torch.rand(samples, *logits.shape).clamp_(1e-7, 1 - 1e-7).log_().neg_().log_().neg_()
        scores = logits + self.noise_scale * noise
        for _ in range(ITERATIONS):
            scores = scores - scores.logsumexp(-1, keepdim=True)
            scores = scores - scores.logsumexp(-2, keepdim=True)
        truth = functional.one_hot(permutation, STRIPES)
        return (scores.exp() - truth).square().sum((-2, -1)).mean()


def contrast(queries, others):
    """Cycle contrast of the queries of one modality, [B, N, D] both."""
    flat, universe = queries.flatten(0, 1), others.flatten(0, 1)
    forth = functional.normalize((flat @ universe.T / TEMPERATURE).softmax(-1) @ universe, dim=-1)
    own = (forth.view_as(queries) @ queries.transpose(1, 2) / TEMPERATURE).softmax(-1)
    back = functional.normalize((own @ queries).flatten(0, 1), dim=-1)
    scores, target = forth @ back.T / TEMPERATURE, torch.arange(len(flat))
    return (functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target)) / 2


def make_step(model, visible, infrared, permutation, precision):
    """A function that takes one training step and returns the loss as a float.

    Args:
        model: `Mmgl`.
        visible, infrared: float32 arrays [B, H, W, 3].
        permutation: integer array [2B, STRIPES].
        precision: "float32" or "bfloat16".
    """
    model = model.to(memory_format=torch.channels_last).train()
    images = [torch.from_numpy(x).permute(0, 3, 1, 2) for x in (visible, infrared)]  # channels last in memory
    permutation = torch.from_numpy(permutation).long()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = model(*images, permutation, getattr(torch, precision))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def take_weights(model, weights):
    """Copies our weights into the peer.

    Args:
        model: `Mmgl`.
        weights: {our path without the model's name, such as "encoder/layer1/0/conv1/kernel": array}.

    Raises:
        KeyError: a weight that the peer does not have.
        ValueError: a weight of the peer that got no value, or a misshapen one.
    """
    leaves = {"beta": "bias", "bias": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    places = {"permutation_head.affinity": "affinity", "stripe_head": "projection"}
    places["stripe_head.batch_norm"] = "projection_norm"
    state = model.state_dict()
    missing = {name for name in state if not name.endswith("num_batches_tracked")}
    for path, value in weights.items():
        place, _, leaf = path.replace("/", ".").rpartition(".")
        name = f"{places.get(place, place)}.{leaves.get(leaf, 'weight')}"
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim, (0,))
        value = value.transpose(axes)
        if tuple(state[name].shape) != value.shape:
            raise ValueError(f"{name} has shape {tuple(state[name].shape)}; got {value.shape} from {path}.")
        state[name].copy_(torch.from_numpy(value.copy()))
        missing.discard(name)
    if missing:
        raise ValueError(f"No weights for {sorted(missing)}.")
