# SPDX-License-Identifier: Apache-2.0
"""JAX on the small problems: all steps of a call in one lax.scan, compiled.

XLA takes as many threads as the process may use processors.
"""

import time
from dataclasses import dataclass
from functools import partial
from typing import Callable

import jax
import jax.numpy as jnp
from safetensors.numpy import load_file

import cases

version = jax.__version__


def energy_sum(parameters, x):
    *hidden, last = parameters
    for weight, bias in hidden:
        x = jax.nn.silu(x @ weight.T + bias)
    weight, bias = last
    return jnp.sum(x @ weight.T + bias)


def descend(parameters, x, step_size, noise):
    gradient = jax.grad(energy_sum, argnums=1)(parameters, x)
    x = x - step_size * jnp.clip(gradient, -cases.CLIP, cases.CLIP) + noise
    return jnp.clip(x, 0, 1)


@partial(jax.jit, static_argnames=("steps", "unroll"))
def draw_each_step(parameters, x, key, step_size, noise_std, steps, unroll):
    def step(carry, _):
        x, key = carry
        key, fresh = jax.random.split(key)
        noise = noise_std * jax.random.normal(fresh, x.shape)
        return (descend(parameters, x, step_size, noise), key), None

    (x, key), _ = jax.lax.scan(step, (x, key), length=steps, unroll=unroll)
    return x, key


@partial(jax.jit, static_argnames=("steps", "unroll"))
def draw_at_once(parameters, x, key, step_size, noise_std, steps, unroll):
    def step(x, noise):
        return descend(parameters, x, step_size, noise), None

    key, fresh = jax.random.split(key)
    noise = noise_std * jax.random.normal(fresh, (steps, *x.shape))
    x, _ = jax.lax.scan(step, x, noise, unroll=unroll)
    return x, key


@dataclass
class Configuration:
    name: str
    function: Callable
    unroll: int
    parameters: list
    precision: str = "fp32"
    program: str = "JAX"

    def run(self, x, key, steps, step_size, noise_std):
        x, key = self.function(
            self.parameters, x, key, step_size, noise_std, steps=steps, unroll=self.unroll
        )
        return x.block_until_ready(), key

    def walk(self, x, steps, step_size):
        """As Energy.walk of Basin."""
        points = jnp.asarray(x.reshape(len(x), -1))
        end, _ = self.run(points, jax.random.key(0), steps, step_size, 0.0)
        return jax.device_get(end).reshape(x.shape)

    def time_ms(self, x, steps):
        """Milliseconds a step of the second of two equal runs."""
        points = jnp.asarray(x.reshape(len(x), -1))
        scales = (cases.STEP_SIZE, cases.NOISE_STD)
        points, key = self.run(points, jax.random.key(0), steps, *scales)
        start_s = time.perf_counter()
        self.run(points, key, steps, *scales)
        return 1e3 * (time.perf_counter() - start_s) / steps


def configurations(weights):
    tensors = load_file(weights)
    parameters = [
        (jnp.asarray(tensors[f"layers.{i}.weight"]), jnp.asarray(tensors[f"layers.{i}.bias"]))
        for i in (0, 2, 4)
    ]
    ten = cases.STEPS_IN_GRAPH
    return [
        Configuration("scan", draw_each_step, 1, parameters),
        Configuration("scan, ten steps unrolled", draw_each_step, ten, parameters),
        Configuration("the same, noise drawn at once", draw_at_once, ten, parameters),
    ]
