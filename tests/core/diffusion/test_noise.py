"""Keyed randomness: a draw depends on its key and on nothing else, and the numbers are normal and independent."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from noiseform import GaussianMixture, build, sample
from noiseform.core.diffusion.noise import MAX_SEED, Draws, Key, keys_of
from noiseform.core.errors import ConfigError
from scipy import stats
from torch.testing import assert_close

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def draw(keys, *, shape=(3, 5), purpose="step", step=0, dtype=torch.float32, draws=None):
    return (draws or Draws()).normal(keys, shape, purpose=purpose, step=step, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_is_the_same_in_every_batch_and_order(dtype):
    keys = [Key(7, item=item) for item in range(6)]
    together = draw(keys, dtype=dtype)
    assert (together.shape, together.dtype) == ((6, 3, 5), dtype)
    for order in ([5, 0, 3], [2], [1, 1]):
        assert torch.equal(draw([keys[index] for index in order], dtype=dtype), together[order])


def test_a_draw_does_not_depend_on_those_before_it():
    key, draws = Key(3), Draws()
    fresh = draw([key], step=4)
    draw([Key(9)], shape=(7,), draws=draws)
    draws.uniform(Key(9), (3,), purpose="labels")
    draws.permutation(Key(9), 11, purpose="order")
    draw([key], shape=(1,), step=3, dtype=torch.float64, draws=draws)
    assert torch.equal(draw([key], step=4, draws=draws), fresh)


def test_half_precision_has_the_rounded_numbers_of_float32():
    single = draw([Key(1)])
    for dtype in (torch.float16, torch.bfloat16):
        assert torch.equal(draw([Key(1)], dtype=dtype), single.to(dtype))


def test_nothing_touches_the_global_generators():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    draw([Key(1), Key(2)])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_every_part_of_a_key_matters():
    """Neighbouring keys draw different numbers, and names do not run into numbers."""
    draws = Draws()
    numbers = {}
    seeds, items, stages, steps = (0, 1, 2, 2**32, MAX_SEED), range(6), range(3), range(8)
    for seed, item, stage, purpose, step in itertools.product(seeds, items, stages, ("", "step", "prior"), steps):
        key = (seed, item, stage, purpose, step)
        value = draws.uniform(Key(seed, item, stage), (2,), purpose=purpose, step=step).numpy().tobytes()
        assert numbers.setdefault(value, key) == key
    assert len(numbers) == 5 * 6 * 3 * 3 * 8


def test_numbers_are_standard_normal():
    x = draw([Key(11)], shape=(40_000,), dtype=torch.float64)[0].numpy()
    assert stats.kstest(x, "norm").pvalue > 0.01
    single = draw([Key(11)], shape=(40_000,))[0].numpy()
    assert stats.kstest(single, "norm").pvalue > 0.01


def test_numbers_of_neighbouring_keys_are_independent():
    """First numbers of consecutive items, steps and seeds: normal, and uncorrelated with their neighbours."""
    for keys in (
        [(Key(0, item=index), 0) for index in range(4000)],
        [(Key(0), index) for index in range(4000)],
        [(Key(index), 0) for index in range(4000)],
    ):
        draws = Draws()
        x = torch.stack([draw([key], shape=(2,), step=step, dtype=torch.float64, draws=draws)[0] for key, step in keys])
        assert stats.kstest(x[:, 0].numpy(), "norm").pvalue > 0.01
        for lag in (1, 2, 7):
            assert abs(np.corrcoef(x[lag:, 0], x[:-lag, 0])[0, 1]) < 4 / np.sqrt(4000)
        assert abs(np.corrcoef(x[:, 0], x[:, 1])[0, 1]) < 4 / np.sqrt(4000)


def test_golden_numbers():
    """Outputs can be made again only as long as these stay: numpy's Philox, its normal numbers, and our keys."""
    double = [-0.021841422824800935, -1.5448881364146179, -0.01439504023134437]
    assert draw([Key(0)], shape=(3,), dtype=torch.float64)[0].tolist() == double
    single = torch.tensor([-0.246148348, -0.131716207, -0.622667193])
    assert torch.equal(draw([Key(7, item=3, stage=1)], shape=(3,), purpose="prior", step=2)[0], single)
    uniform = [0.6710398485893388, 0.4024723933761233]
    assert Draws().uniform(Key(MAX_SEED), (2,), purpose="t").tolist() == uniform


def test_uniform_and_permutation():
    draws = Draws()
    u = draws.uniform(Key(5), (10_000,), purpose="t")
    assert u.dtype == torch.float64
    assert ((u >= 0) & (u < 1)).all()
    assert stats.kstest(u.numpy(), "uniform").pvalue > 0.01
    order = draws.permutation(Key(5), 100, purpose="order")
    assert order.dtype == torch.int64
    assert sorted(order.tolist()) == list(range(100))
    assert not torch.equal(order, draws.permutation(Key(5), 100, purpose="order", step=1))


def test_keys():
    assert keys_of([3, Key(4, item=2)]) == (Key(3), Key(4, item=2))
    assert Key(1, item=2).at_stage(3) == Key(1, item=2, stage=3)
    for seed in (-1, 2**64, 1.5, "7", None):
        with pytest.raises(ConfigError, match="seed"):
            Key(seed)


def test_a_sample_is_its_keys(sampler):
    """Items of a run are the same alone, in another order and in another batch, for every sampler."""
    mixture = GaussianMixture([[-1.0, 0.5], [1.0, -0.5]], [0.3, 0.4])
    run = {"process": build("process", "vp-linear"), "sampler": sampler, "grid": build("grid", "log-snr"), "steps": 6}
    keys = [Key(9, item=item) for item in range(4)]
    together = sample(mixture, seeds=keys, shape=(2,), dtype=torch.float64, **run)
    for order in ([3, 1], [2]):
        again = sample(mixture, seeds=[keys[index] for index in order], shape=(2,), dtype=torch.float64, **run)
        assert_close(again, together[order], rtol=1e-12, atol=1e-12)


def test_threads_do_not_draw_from_each_other():
    """All draws of a thread share a generator, and no thread has that of another."""
    keys, draws, run = [Key(row) for row in range(4)], Draws(), {"shape": (20_000,), "purpose": "step"}
    expected = draws.normal(keys, **run)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: draws.normal(keys, **run), range(32)))
    assert all(torch.equal(one, expected) for one in found)
