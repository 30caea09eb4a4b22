# SPDX-License-Identifier: Apache-2.0
"""Basin: the binary, which is timed, and the shared library, which is checked.

`basin bench chain` starts its parameters from a seed. The library starts the same ones from the
same seed and saves them for the other side, so both run one network.
"""

import ctypes
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

import cases
from cases import Failure

SEED = 0
SAMPLER = {
    "step_size": cases.STEP_SIZE,
    "gradient_clip": "element",
    "gradient_clip_value": cases.CLIP,
    "box": "clamp",
    "box_low": 0.0,
    "box_high": 1.0,
    "noise_std": cases.NOISE_STD,
}


def as_flags(options):
    """{"base_channels": 16, "hidden": [8, 8]} -> --base-channels 16 --hidden 8,8"""
    flags = []
    for key, value in options.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        flags += ["--" + key.replace("_", "-"), text]
    return flags


def high_water_mib(pid):
    """Largest resident memory of a process so far (VmHWM); None where it is gone.

    Not getrusage: a child's ru_maxrss starts from the memory of the process that started it.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) / 1024 if lines else None


class Binary:
    def __init__(self, build, threads):
        self.path = build / "basin"
        self.threads = threads
        if not self.path.is_file():
            raise Failure(f"{self.path} is not there: build Basin first, or give --build FOLDER")
        self.version = self.run("--version").split()[-1]

    def command(self, *arguments):
        return [str(self.path), *arguments]

    def run(self, *arguments):
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"basin {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def bench(self, what, case, *flags):
        """What `basin bench chain` or `update` prints of one round, after one not counted."""
        shape = str(case.shape[2]) if case.network == "mlp" else "x".join(map(str, case.shape))
        chains = ["--n-steps", str(case.steps), *as_flags(SAMPLER)]
        return json.loads(
            self.run(
                *("bench", what, "--json", "--rounds", "1", "--seed", str(SEED)),
                *("--network", case.network, "--shape", shape, "--chains", str(case.chains)),
                *("--threads", str(self.threads)),
                *as_flags(case.options),
                *(["--objective", "diffusion"] if case.kind == "denoise" else chains),
                *flags,
            )
        )

    def train_flags(self, case, images):
        return [
            *("--data", str(images), "--threads", str(self.threads), "--seed", str(SEED)),
            *("--batch", str(cases.BATCH), "--n-steps", str(case.steps)),
            *("--buffer-size", str(cases.BUFFER_SIZE)),
            *("--restart-probability", str(cases.RESTART_PROBABILITY)),
            *("--data-noise", str(cases.DATA_NOISE), "--alpha", str(cases.ALPHA)),
            *("--learning-rate", str(cases.LEARNING_RATE), "--beta1", "0"),
            *("--parameter-clip-value", str(cases.GRADIENT_NORM_MAX)),
            *("--average", str(cases.AVERAGE_DECAY)),
            *as_flags(case.options),
            *as_flags(SAMPLER),
        ]

    def training_memory(self, case, images, updates):
        """Largest resident memory in MiB of a training run, watched until it ends."""
        with tempfile.TemporaryDirectory() as folder:
            command = self.command(
                *("train", "--out", f"{folder}/run", "--updates", str(updates), "--quiet"),
                *("--sample-every", "0", *self.train_flags(case, images)),
            )
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
                highest = 0.0
                while process.poll() is None:
                    highest = max(highest, high_water_mib(process.pid) or 0.0)
                    time.sleep(0.005)
                error = process.stderr.read()
        if process.returncode != 0:
            raise Failure(f"{' '.join(command)}: {error.strip()}")
        return highest


def perturb(path, noise_level):
    """Add normals to all parameters of a model file, and say at which level it is evaluated."""
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    generator = np.random.default_rng(3)
    for values in tensors.values():
        noise = generator.standard_normal(values.shape, dtype=np.float32)
        values += np.float32(cases.PERTURBATION) * noise
    # A model is evaluated at the lowest level that it was trained at.
    levels = {"noise_level_low": str(noise_level), "noise_level_high": str(noise_level)}
    save_file(tensors, path, {**metadata, **levels})


class ContextOptions(ctypes.Structure):
    """As in include/basin/context.h."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("thread_count", ctypes.c_int),
        ("isa", ctypes.c_char_p),
        ("allocate", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("allocator_user", ctypes.c_void_p),
        ("log", ctypes.c_void_p),
        ("log_user", ctypes.c_void_p),
        ("exact_convolution", ctypes.c_bool),
        ("precision", ctypes.c_int),
    ]


class SampleOptions(ctypes.Structure):
    """As in include/basin/sample.h."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("sampler", ctypes.c_char_p),
        ("settings", ctypes.c_char_p),
        ("seed", ctypes.c_uint64),
        ("is_started", ctypes.c_bool),
        ("labels", ctypes.c_void_p),
        ("class_label", ctypes.c_int),
        ("noise_level", ctypes.c_double),
        ("acceptance", ctypes.c_void_p),
    ]


def defaults(function, kind):
    """Options as the library initialises them, which must be as long as they are here."""
    room = ctypes.create_string_buffer(ctypes.sizeof(kind) + 4096)
    function(room)
    size = ctypes.c_size_t.from_buffer(room).value
    if size != ctypes.sizeof(kind):
        raise Failure(f"{kind.__name__} has {ctypes.sizeof(kind)} bytes, in the library {size}")
    return kind.from_buffer_copy(room)


class Energy:
    """An energy of libbasin.so, in a context of its own; close it, or use it in a `with`.

    A fresh one of a case, or of a model file.
    """

    def __init__(self, build, threads, case, file=None):
        path = build / "libbasin.so"
        if not path.is_file():
            raise Failure(f"{path} is not there: build Basin first, or give --build FOLDER")
        self.library = ctypes.CDLL(str(path))
        self.library.basin_context_error.restype = ctypes.c_char_p
        self.library.basin_context_isa.restype = ctypes.c_char_p
        self.context, self.energy = ctypes.c_void_p(), ctypes.c_void_p()
        options = defaults(self.library.basin_context_options_init, ContextOptions)
        options.thread_count = threads
        self.call("basin_context_create", ctypes.byref(options), ctypes.byref(self.context))
        self.isa = self.library.basin_context_isa(self.context).decode()
        if file is None:
            self.create(case)
        else:
            found = ctypes.byref(self.energy)
            self.call("basin_energy_load", self.context, str(file).encode(), None, 0, 0, found)

    def create(self, case):
        self.call(
            "basin_energy_create",
            self.context,
            case.network.encode(),
            json.dumps(case.options).encode(),
            *case.shape,
            ctypes.c_uint64(SEED),
            ctypes.byref(self.energy),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.library.basin_energy_destroy(self.energy)
        self.library.basin_context_destroy(self.context)

    def call(self, name, *arguments):
        if getattr(self.library, name)(*arguments) != 0:
            error = self.library.basin_context_error(self.context) if self.context else b"no memory"
            raise Failure(f"{name}: {error.decode()}")

    def save(self, path):
        self.call("basin_energy_save", self.energy, str(path).encode())

    def evaluate(self, x):
        """Energies [n] and dE/dx of examples x [n, height, width, channels]."""
        energies, gradient = np.empty(len(x)), np.empty_like(x)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, energies, gradient)]
        self.call("basin_energy_evaluate", self.energy, ctypes.c_int64(len(x)), *pointers)
        return energies, gradient

    def walk(self, x, steps, step_size):
        """Where chains from x are after so many steps of this size without noise."""
        changes = {"n_steps": steps, "step_size": step_size, "noise_std": 0.0}
        settings = json.dumps({**SAMPLER, **changes}).encode()
        options = defaults(self.library.basin_sample_options_init, SampleOptions)
        options.sampler, options.settings, options.is_started = b"langevin", settings, True
        end = x.copy()
        self.call(
            "basin_sample",
            self.energy,
            ctypes.byref(options),
            ctypes.c_int64(len(end)),
            ctypes.c_void_p(end.ctypes.data),
            None,
        )
        return end
