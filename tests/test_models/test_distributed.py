"""Two processes, and gradient accumulation, against one process with the whole batch."""

import copy
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.dist import all_reduce_params
from mmengine.model import MMDistributedDataParallel
from test_coordgan import TINY, optimizers
from test_inversion import TINY as STAGE2
from test_inversion import build as build_inversion
from test_inversion import optimizer

from mmcoordgan.cli.launch import leave_processes
from mmcoordgan.models.distributed import CoordGANDistributed
from mmcoordgan.models.finite import FiniteGuard
from mmcoordgan.models.networks import discriminator
from mmcoordgan.models.networks.patch_discriminator import CropRectangles
from mmcoordgan.registry import MODELS

ITERATIONS, BATCH = 3, 4
NETWORKS = ('generator', 'generator_ema', 'discriminator', 'patch_discriminator')
CALLS = {'d': (0, 1, 2), 'r1': (3, 4), 'g': (5, 6)}
"""The crops that each phase of a training step cuts."""


def source(*key: int) -> torch.Generator:
    return torch.Generator().manual_seed(sum(k * 1000**i for i, k in enumerate(key, 1)))


def build(seed: int, **changes):
    """All nine terms are active in iterations 0 and 2; regularization rests in iteration 1."""
    torch.manual_seed(seed)
    config = copy.deepcopy(TINY)
    config['generator']['noise'] = 'zero'
    for name, term in config['losses'].items():
        term.update(start=0, interval=2 if 'r1' in name else 1)
    return MODELS.build({**config, **changes})


class Inputs:
    """Images, codes and crops of whole batches, of which a process takes some.

    Args:
        model: Draws its codes and crops from here.
        own: The images of this process.
        count: The micro-batches that the model makes of them.
    """

    def __init__(self, model, own: slice, count: int = 1):
        self.own, self.count = own, count
        self.num_crops = model.patch_discriminator.num_crops
        model.sample_codes = self.codes
        model.patch_discriminator.sample_rectangles = self.rectangles

    def begin(self, iteration: int) -> dict:
        """The images of an iteration."""
        self.iteration, self.batch_number = iteration, 0
        phases = ['d', 'g'] if iteration == 1 else ['d', 'r1', 'g']
        self.calls = iter(
            [(call, k) for p in phases for k in range(self.count) for call in CALLS[p]]
        )
        real = torch.rand(BATCH, 3, 16, 16, generator=source(iteration, 1)) * 2 - 1
        return {'inputs': real[self.own]}

    def codes(self, batch: int):
        self.batch_number += 1
        key = (self.iteration, 2, self.batch_number)
        structure, texture = torch.randn(2, BATCH, 4, generator=source(*key))
        return structure[self.own], texture[self.own]

    def rectangles(self, num_images: int, device) -> CropRectangles:
        call, k = next(self.calls)
        u = torch.rand(BATCH, self.num_crops, 5, generator=source(self.iteration, 3, call))
        u = u[self.own].chunk(self.count)[k].flatten(0, 1)
        assert len(u) == num_images * self.num_crops
        scale = 0.2 + 0.2 * u[:, 1:3]
        return CropRectangles((u[:, 0] - 0.5).sign(), scale, (2 * u[:, 3:] - 1) * (1 - scale))


def run(model, inputs: Inputs, wrapped=None) -> tuple[list[dict], dict]:
    """Losses of every iteration, and the weights at the end."""
    optim_wrapper = optimizers(model)
    log = []
    for iteration in range(ITERATIONS):
        step = (wrapped or model).train_step(inputs.begin(iteration), optim_wrapper)
        log.append({name: float(value) for name, value in step.items()})
        assert next(inputs.calls, None) is None
    return log, model.state_dict()


@pytest.fixture(scope='module', autouse=True)
def double():
    """In float32, rounding grows to 5e-4 in three steps of Adam."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def run_whole(model) -> tuple[list[dict], dict]:
    """One process with all images; the deviation within a batch is that of its halves."""
    original = discriminator.minibatch_stddev

    def of_halves(x, group):
        return torch.cat([original(half, group) for half in x.chunk(2)])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discriminator, 'minibatch_stddev', of_halves)
        return run(model, Inputs(model, slice(BATCH)))


@pytest.fixture(scope='module')
def whole_batch():
    model = build(0)
    start = copy.deepcopy(model.state_dict())
    log, end = run_whole(model)
    for name in NETWORKS:  # each of them has been trained
        moved = [(end[k] - start[k]).abs().max() for k in end if k.startswith(f'{name}.')]
        assert max(moved) > 1e-4, name
    assert set(log[0]) == set(TINY['losses']) and not {'d_r1', 'd_patch_r1'} & set(log[1])
    return log, end


def assert_equal(result, expected):
    (log, end), (expected_log, expected_end) = result, expected
    for found, wanted in zip(log, expected_log):
        assert found == pytest.approx(wanted, abs=1e-6, rel=1e-6)  # float32 in the log
    for name, value in expected_end.items():
        assert torch.allclose(end[name], value, rtol=0, atol=1e-12), name


def meet(rank: int, folder: str) -> slice:
    """Begin as one of two processes; returns its half of the images."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    dist.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2)
    return slice(2 * rank, 2 * rank + 2)


def process(rank: int, folder: str) -> None:
    half = meet(rank, folder)
    model = build(seed=rank)  # the second process starts from other weights
    wrapped = CoordGANDistributed(model)
    result = run(model, Inputs(model, half), wrapped)
    torch.save(result, f'{folder}/{rank}.pth')
    torch.save(skipped_step(model, wrapped, bad=rank == 1), f'{folder}/{rank}_skipped.pth')
    leave_processes()


def skipped_step(model, wrapped, bad: bool) -> tuple[list[str], dict]:
    """Names in the log, and weights, after an iteration that is ``bad`` in one process."""
    model.guard = FiniteGuard('skip')
    data = Inputs(model, slice(2)).begin(2)
    data['inputs'] *= torch.nan if bad else 1
    return list(wrapped.train_step(data, optimizers(model))), model.state_dict()


def test_two_processes_equal_one_with_both_batches(tmp_path: Path, whole_batch):
    torch.multiprocessing.spawn(process, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        result = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        assert_equal(result, whole_batch)
    skipped = [torch.load(tmp_path / f'{rank}_skipped.pth', weights_only=True) for rank in range(2)]
    for names, end in skipped:
        assert names == ['g_gan', 'g_patch', 'g_texture_swap', 'g_chamfer', 'g_warp']
        for name, value in skipped[0][1].items():
            assert torch.equal(end[name], value), name
        for name, value in result[1].items():  # what was skipped in one process was so in both
            if 'discriminator' in name:
                assert torch.equal(end[name], value), name


@pytest.mark.parametrize('share_fakes', [False, True])
def test_micro_batches_equal_the_whole_batch(whole_batch, share_fakes):
    if share_fakes:
        whole_batch = run_whole(build(0, share_fakes=True))
    model = build(0, accumulative_counts=2, share_fakes=share_fakes)
    assert_equal(run(model, Inputs(model, slice(BATCH), count=2)), whole_batch)
    assert int(model.iteration) == ITERATIONS


def run_stage2(model, own: slice, micro_batches: int = 1, wrapped=None) -> tuple[list, dict]:
    """As :func:`run`; gradients are accumulated by MMEngine's optimizer wrapper."""
    wrapper = optimizer(model, accumulative_counts=micro_batches)
    log = []
    for iteration in range(ITERATIONS):
        codes = torch.randn(2, BATCH, 4, generator=source(iteration, 2))[:, own]
        real = torch.rand(BATCH, 3, 16, 16, generator=source(iteration, 1))[own] * 2 - 1
        mean: dict[str, float] = {}
        for z, images in zip(codes.chunk(micro_batches, 1), real.chunk(micro_batches)):
            model.sample_codes = lambda batch, z=z: tuple(z)
            for name, value in (wrapped or model).train_step({'inputs': images}, wrapper).items():
                mean[name] = mean.get(name, 0) + float(value) / micro_batches
        log.append(mean)
    return log, model.state_dict()


def stage2(seed: int):
    torch.manual_seed(seed)
    return build_inversion(losses={k: {**v, 'interval': 1} for k, v in STAGE2['losses'].items()})


@pytest.fixture(scope='module')
def whole_batch_of_stage_2():
    return run_stage2(stage2(0), slice(BATCH))


def test_accumulation_in_stage_2_equals_the_whole_batch(whole_batch_of_stage_2):
    log, end = run_stage2(stage2(0), slice(BATCH), micro_batches=2)
    assert end.pop('iteration') == 2 * ITERATIONS
    expected = {k: v for k, v in whole_batch_of_stage_2[1].items() if k != 'iteration'}
    assert_equal((log, end), (whole_batch_of_stage_2[0], expected))


def process_stage2(rank: int, folder: str) -> None:
    half = meet(rank, folder)
    model = stage2(seed=rank)  # the second process starts from other weights
    wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
    torch.save(run_stage2(model, half, wrapped=wrapped), f'{folder}/{rank}')
    leave_processes()


def test_mmengines_wrapper_in_stage_2(tmp_path: Path, whole_batch_of_stage_2):
    torch.multiprocessing.spawn(process_stage2, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        assert_equal(torch.load(tmp_path / str(rank), weights_only=True), whole_batch_of_stage_2)


def dying(rank: int, folder: str) -> None:
    """One of two processes, of which the second is gone when gradients are averaged."""
    meet(rank, folder)
    dist.barrier()
    if rank == 1:
        os._exit(9)
    with pytest.raises(RuntimeError, match=r'closed by peer|reset by peer|Broken pipe'):
        all_reduce_params([torch.ones(3)], op='mean')
    os._exit(0)  # the process group waits for nobody


@pytest.mark.slow
def test_a_process_that_dies_ends_the_others(tmp_path: Path):
    context = torch.multiprocessing.spawn(dying, (str(tmp_path),), nprocs=2, join=False)
    for process in context.processes:
        process.join(timeout=60)  # seconds; the group's own limit is half an hour
    assert [process.exitcode for process in context.processes] == [0, 9]


@pytest.mark.parametrize('count', [3, 4])
def test_micro_batches_that_are_no_pairs(count):
    model = build(0, accumulative_counts=count)
    message = rf'accumulative_counts={count} needs a train_dataloader.batch_size .* multiple of'
    with pytest.raises(ValueError, match=message):
        model.train_step({'inputs': torch.zeros(4, 3, 16, 16)}, optimizers(model))
