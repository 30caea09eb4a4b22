# SPDX-License-Identifier: Apache-2.0
"""What is compared: the Langevin step, the problems, and how far two programs may differ.

A step is, in every program and inside the timed region,

    x <- clamp(x - STEP_SIZE * clamp(dE/dx, -CLIP, CLIP) + NOISE_STD * fresh N(0, I), 0, 1)

Ten steps are what the largest compiled graph holds, so lengths are multiples of ten.
"""

from dataclasses import dataclass

STEP_SIZE = 10.0
CLIP = 0.03
NOISE_STD = 0.005
STEPS_IN_GRAPH = 10

# Training: chains and examples an update, replay buffer, loss, optimiser. Basin's defaults.
BATCH = 128
BUFFER_SIZE = 10_000
RESTART_PROBABILITY = 0.05
DATA_NOISE = 0.005
ALPHA = 0.1
LEARNING_RATE = 1e-4
GRADIENT_NORM_MAX = 0.1
AVERAGE_DECAY = 0.999
IMAGE_COUNT = 60_000

# Denoising: but for group norm, the defaults of Basin's network `unet` and objective `diffusion`.
NORM_GROUPS = 8
EMBEDDING = 128
DATA_STD = 0.5
LOG_LEVEL_MEAN = -1.2
LOG_LEVEL_STD = 1.2
LEVEL_LOW = 0.01
LEVEL_HIGH = 20.0
# The last layers of a fresh U-Net are zero, which would test nothing: for the check, normals of
# this size are added to all of its parameters. Energies are then compared at these noise levels.
PERTURBATION = 0.03
CHECK_LEVELS = (1.0, 0.1)

# Without noise, ten steps are sized to move no value further than this: far enough to be seen beside
# rounding, not so far that all values end at the same bounds. Gradients above CLIP are still cut.
CHECK_DISTANCE = 0.3

# max|a - b| / max|b|; bfloat16 keeps eight bits, and sums of such numbers lose some.
LIMITS = {"fp32": 1e-4, "bf16": 1e-1}

DEFAULT_CASES = (
    "conv:16:128:28x28x1",
    "conv:32:128:28x28x1",
    "conv:64:128:28x28x1",
    "conv:64:64:32x32x3",
    "conv:128:64:32x32x3",
    "mlp:128:256",
    "mlp:64:64",
    "mlp:64:16",
    "train:64",
    "denoise:64-128:64",
    "memory:64",
)
QUICK_CASES = ("conv:16:128:28x28x1", "mlp:64:16", "train:16", "denoise:16-32:16", "memory:16")
KINDS = ("conv", "mlp", "train", "denoise", "memory")


class Failure(Exception):
    """What stops the comparison, in one line."""


@dataclass(frozen=True)
class Case:
    name: str
    kind: str
    width: int | tuple[int, ...]  # of a U-Net: of each level
    chains: int
    shape: tuple[int, int, int]  # height, width, channels
    steps: int  # a timed call

    @property
    def network(self):
        return {"mlp": "mlp", "denoise": "unet"}.get(self.kind, "conv")

    @property
    def options(self):
        """The network's options, under the names of Basin's JSON."""
        if self.network == "mlp":
            return {"hidden": [self.width, self.width]}
        if self.network == "unet":
            return {
                "channels": list(self.width),
                "norm_groups": NORM_GROUPS,
                "embedding": EMBEDDING,
                "data_std": DATA_STD,
            }
        return {"base_channels": self.width}

    @property
    def title(self):
        height, width, channels = self.shape
        image = f"{height}x{width}x{channels}"
        levels = "-".join(map(str, self.options.get("channels", [])))
        return {
            "conv": f"Chains: base {self.width}, {self.chains} chains of {image}",
            "mlp": f"Points: MLP {channels}-{self.width}-{self.width}-1, {self.chains} chains",
            "train": f"One training update: base {self.width}, {self.chains} chains of {image}, "
            f"{self.steps} steps",
            "denoise": f"One update of denoising: U-Net {levels}, group norm, "
            f"{self.chains} examples of {image}",
            "memory": f"Peak memory of training: base {self.width}, {IMAGE_COUNT} images of "
            f"{image}, {BUFFER_SIZE} chains kept",
        }[self.kind]


def parse(text, is_quick):
    """`conv:BASE:CHAINS:HxWxC`, `mlp:WIDTH:CHAINS`, `train:BASE`, `denoise:WIDTH-WIDTH…:BATCH` or
    `memory:BASE`."""
    kind, *fields = text.split(":")
    try:
        if kind == "conv":
            width, chains, shape = fields
            height, columns, channels = map(int, shape.split("x"))
            numbers = (int(width), int(chains), height, columns, channels)
            # Narrow networks take more steps, so that a timed call is not over in an instant.
            steps = STEPS_IN_GRAPH * (1 if is_quick else max(1, 64 // numbers[0]))
        elif kind == "mlp":
            width, chains = fields
            numbers = (int(width), int(chains), 1, 1, 2)
            steps = 100 if is_quick else 1000
        elif kind == "denoise":
            widths, chains = fields
            numbers = (*map(int, widths.split("-")), int(chains), 28, 28, 1)
            steps = 0
        elif kind in KINDS:
            (width,) = fields
            numbers = (int(width), BATCH, 28, 28, 1)
            steps = STEPS_IN_GRAPH if is_quick else 60
        else:
            raise ValueError(kind)
        *widths, chains, height, columns, channels = numbers
        if min(numbers) < 1:
            raise ValueError(text)
    except ValueError:
        raise Failure(
            f"case {text}: expected conv:BASE:CHAINS:HxWxC, mlp:WIDTH:CHAINS, train:BASE, "
            "denoise:WIDTH-WIDTH…:BATCH, memory:BASE, or one of " + ", ".join(KINDS)
        ) from None
    width = tuple(widths) if kind == "denoise" else widths[0]
    return Case(text, kind, width, chains, (height, columns, channels), steps)


def choose(words, is_quick):
    """The cases named; a bare kind stands for its default cases."""
    defaults = QUICK_CASES if is_quick else DEFAULT_CASES
    names = []
    for word in words or defaults:
        names += [name for name in defaults if name.startswith(word + ":")] or [word]
    return [parse(name, is_quick) for name in names]


def check_step_size(gradient):
    return CHECK_DISTANCE / STEPS_IN_GRAPH / min(CLIP, float(abs(gradient).max()))


def deviation(a, b):
    return float(abs(a - b).max() / abs(b).max())
