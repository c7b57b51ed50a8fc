"""Kill a training again and again, and compare its end with that of one that was left alone.

Kills all processes with kill -9 at random moments: while the program starts, trains, and writes a
checkpoint. After each kill, the checkpoint that last_checkpoint names must be complete, and only
iterations since that checkpoint may be lost. With --signal TERM, asks processes to end while they
train: no iteration may be lost.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import torch
from torch.utils._pytree import tree_map_only

from mmcoordgan.io.files import load_checkpoint
from mmcoordgan.io.work_dir import last_checkpoint

TRAIN = str(Path(__file__).parents[1] / 'tools' / 'train.py')
INTERVAL = 5
STARTUP = 6.0
"""Seconds within which a start is killed."""
MOMENTS = {'KILL': ('starting', 'training', 'saving'), 'TERM': ('training',)}
STATE = ('state_dict', 'optimizer', 'param_schedulers', 'random_states', 'data')
"""What must be equal in checkpoints; the rest holds times and paths."""


class Training:
    """A training in a work dir of its own, in one or several processes."""

    def __init__(self, args: argparse.Namespace, name: str, seed: int | None = None):
        self.work_dir = Path('work_dirs', 'kill_and_resume', name)
        self.output = self.work_dir.with_suffix('.log')
        shutil.rmtree(self.work_dir, ignore_errors=True)
        self.work_dir.mkdir(parents=True)
        program = [sys.executable, TRAIN]
        if args.processes > 1:
            program = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
            program += [f'--nproc_per_node={args.processes}', TRAIN, '--launcher', 'pytorch']
        program += [args.config, '--work-dir', str(self.work_dir), '--resume', '--cfg-options']
        program += [f'train_cfg.max_iters={args.iterations}', f'randomness.seed={seed}']
        program += [f'default_hooks.checkpoint.interval={INTERVAL}']
        self.command = [*program, 'default_hooks.logger.interval=1', *args.cfg_options]

    def start(self) -> None:
        with open(self.output, 'wb') as output:
            self.process = psutil.Popen(self.command, stdout=output, stderr=output)

    def finish(self) -> dict:
        """Train to the end; the last checkpoint."""
        self.start()
        self.check(self.process.wait() == 0, 'the training failed')
        return load_checkpoint(last_checkpoint(self.work_dir))

    def check(self, fine: bool, message: str) -> None:
        if not fine:
            sys.exit(f'{message}:\n{self.output.read_text()[-3000:]}')

    def iteration(self) -> int:
        """The last iteration that this start has logged, or 0."""
        found = re.findall(rb'Iter\(train\) *\[ *(\d+)/', self.output.read_bytes())
        return int(found[-1]) if found else 0

    def saved(self) -> int:
        """The iteration of the last checkpoint, which is read, or 0."""
        path = last_checkpoint(self.work_dir)
        return int(load_checkpoint(path)['meta']['iter']) if path else 0

    def writing(self) -> bool:
        """Whether a file is being written, or was when this start was killed."""
        return self.iteration() > 0 and any(self.work_dir.glob('*.part'))

    def send(self, number: int, everyone: bool) -> int:
        """Send a signal to all processes, as Slurm does, or to the first one; the exit code."""
        # torchrun gives its processes sessions of their own: a group does not hold them all.
        others = self.process.children(recursive=True) if everyone else []
        for process in [self.process, *others]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return self.process.wait()


def wait(training: Training, moment: str, saved: int, source: random.Random) -> None:
    """Return at such a moment, or when the training has ended."""
    begin, delay, target = time.monotonic(), source.uniform(0, STARTUP), source.randint(1, 10)
    reached = {
        'starting': lambda: time.monotonic() > begin + delay,
        'training': lambda: training.iteration() >= saved + target,
        'saving': training.writing,
    }[moment]
    while training.process.poll() is None and not reached():
        time.sleep(0.0005 if moment == 'saving' else 0.01)
    if moment == 'training':
        time.sleep(source.uniform(0, 0.3))


def plain(checkpoint: dict) -> dict:
    """What must be equal, with tensors as their bytes."""

    def as_bytes(x: torch.Tensor) -> tuple:
        return x.dtype, x.shape, x.flatten().view(torch.uint8).numpy().tobytes()

    return tree_map_only(torch.Tensor, as_bytes, {key: checkpoint.get(key) for key in STATE})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='config file')
    add('--kills', type=int, default=20, help='how often to kill [20]')
    add('--signal', choices=MOMENTS, default='KILL', help='what to interrupt with [KILL]')
    add('--processes', type=int, default=1, help='processes that train [1]')
    add('--iterations', type=int, help='length of the training [12 for each kill]')
    add('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='as for train.py')
    args = parser.parse_args()
    args.iterations = args.iterations or 12 * args.kills + 12
    killed, source, terminate = Training(args, 'killed'), random.Random(0), args.signal == 'TERM'
    for number in range(args.kills):
        saved, moments = killed.saved(), MOMENTS[args.signal]
        killed.start()
        wait(killed, moments[number % len(moments)], saved, source)
        ended = killed.process.poll() is not None
        killed.check(not ended, f'ended before kill {number + 1}: give more --iterations')
        everyone = not terminate or number % 2 == 0
        code = killed.send(signal.Signals[f'SIG{args.signal}'], everyone)
        if terminate and args.processes == 1:  # torchrun has its own
            killed.check(code == 143, f'SIGTERM led to exit code {code}')
        seen, now = killed.iteration(), killed.saved()
        caught = 'starting' if not seen else 'saving' if killed.writing() else 'training'
        print(f'kill {number + 1}, while {caught}: at {seen or saved}, continues from {now}')
        # A logged iteration that ends an interval may not have been saved yet.
        if now < saved or seen - now > (0 if terminate else INTERVAL):
            sys.exit(f'iterations {now + 1} to {seen} are lost')
    end = killed.finish()  # comes first, as it chose the seed
    alone = Training(args, 'alone', end['meta']['seed']).finish()
    one, other = plain(alone), plain(end)
    different = ', '.join(key for key in STATE if one[key] != other[key])
    if different:
        sys.exit(f'{different} in {killed.work_dir} differ from those of a run that was left alone')
    print(
        f'{args.kills} SIG{args.signal} survived, the same bits after {args.iterations} iterations'
    )


if __name__ == '__main__':
    main()
