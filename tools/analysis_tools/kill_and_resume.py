"""Kill a training again and again, and compare its end with that of one that was left alone.

Kills are kill -9 of all processes at random moments: while the program starts, trains, and writes a
checkpoint. After each one, the checkpoint that last_checkpoint names must be complete, and only
iterations since that checkpoint may be lost. With --signal TERM, processes are asked to end while
they train, and no iteration may be lost.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import torch
from torch.utils._pytree import keystr, tree_flatten_with_path

from mmcoordgan.io.files import load_checkpoint
from mmcoordgan.io.work_dir import last_checkpoint

TRAIN = str(Path(__file__).parents[1] / 'train.py')
INTERVAL = 5
STARTUP = 6.0
"""Seconds within which a start is killed."""
KINDS = ('starting', 'training', 'saving')
STATE = ('state_dict', 'optimizer', 'param_schedulers', 'random_states', 'data')
"""What must be equal in checkpoints; the rest holds times and paths."""


class Training:
    """A training in a work dir, of processes that can be killed together."""

    def __init__(self, args: argparse.Namespace, name: str, seed: int | None = None):
        self.work_dir = Path(args.work_dir, name)
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

    def send(self, number: int, everyone: bool = True) -> int:
        """Send a signal to all processes, as Slurm does, or to the first one; the exit code."""
        # torchrun gives its processes sessions of their own: a group does not hold them all.
        others = self.process.children(recursive=True) if everyone else []
        for process in [self.process, *others]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return self.process.wait()

    def run(self) -> tuple[int, dict]:
        """Start, wait for the end; the seed, and what :func:`flat` finds in the last checkpoint."""
        self.start()
        if self.process.wait() != 0:
            self.fail('the training failed')
        checkpoint = load_checkpoint(last_checkpoint(self.work_dir))
        return checkpoint['meta']['seed'], flat(checkpoint)

    def fail(self, message: str) -> None:
        sys.exit(f'{message}:\n{self.output.read_text()[-3000:]}')

    def iteration(self) -> int:
        """The last iteration that this start has logged, or 0."""
        found = re.findall(rb'Iter\(train\) *\[ *(\d+)/', self.output.read_bytes())
        return int(found[-1]) if found else 0

    def saved(self) -> int:
        """The iteration of the last checkpoint, which is checked, or 0."""
        path = last_checkpoint(self.work_dir)
        return int(load_checkpoint(path)['meta']['iter']) if path else 0

    def writing(self) -> bool:
        """Whether it is writing a file, or was killed while it did.

        A training removes what earlier ones left before its first iteration.
        """
        return any(self.work_dir.glob('*.part'))


def wait_for_moment(training: Training, kind: str, source: random.Random) -> None:
    """Return at a random moment of a kind, or when the training has ended."""
    if kind == 'starting':
        return time.sleep(source.uniform(0, STARTUP))
    target, first = source.randint(1, 2 * INTERVAL), 0
    while training.process.poll() is None:
        now = training.iteration()
        first = first or now
        if now and (training.writing() if kind == 'saving' else now >= first + target):
            break
        time.sleep(0.0005 if kind == 'saving' and now else 0.02)
    return time.sleep(source.uniform(0, 0.3) if kind == 'training' else 0)


def kill_repeatedly(training: Training, args: argparse.Namespace) -> Counter:
    """Start and kill ``args.kills`` times; count the kills by what they interrupted."""
    source, counts, terminate = random.Random(0), Counter(), args.signal == 'TERM'
    # A logged iteration that ends an interval may not have been saved yet.
    bearable = 0 if terminate else INTERVAL
    for number in range(args.kills):
        saved, kind = training.saved(), 'training' if terminate else KINDS[number % len(KINDS)]
        training.start()
        wait_for_moment(training, kind, source)
        if training.process.poll() is not None:
            training.fail(f'the training ended before kill {number + 1}: give more --iterations')
        everyone = not terminate or number % 2 == 0
        code = training.send(signal.Signals[f'SIG{args.signal}'], everyone)
        if terminate and code != 143 and args.processes == 1:  # torchrun has its own
            training.fail(f'SIGTERM led to exit code {code}')
        seen, now = training.iteration(), training.saved()
        caught = 'starting' if not seen else 'saving' if training.writing() else 'training'
        counts[caught] += 1
        print(f'kill {number + 1}, while {caught}: at {seen or saved}, continues from {now}')
        if now < saved or seen - now > bearable:
            sys.exit(f'iterations {now + 1} to {seen} are lost: more than {bearable}')
    return counts


def flat(checkpoint: dict) -> dict[str, object]:
    """Everything that must be equal, by its place; tensors as their bytes."""
    found = {}
    for path, x in tree_flatten_with_path({key: checkpoint.get(key) for key in STATE})[0]:
        if isinstance(x, torch.Tensor):
            x = x.dtype, x.shape, x.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        found[keystr(path)] = x
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='config file')
    add('--kills', type=int, default=20, help='how often to kill [20]')
    add('--signal', choices=('KILL', 'TERM'), default='KILL', help='what to interrupt with [KILL]')
    add('--processes', type=int, default=1, help='processes that train [1]')
    add('--iterations', type=int, help='length of the training [12 for each kill]')
    text = 'folder for both trainings, replaced [work_dirs/kill_and_resume]'
    add('--work-dir', default='work_dirs/kill_and_resume', help=text)
    add('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='as for train.py')
    args = parser.parse_args()
    args.iterations = args.iterations or 12 * args.kills + 12
    # The run that is killed first: the other one needs its seed, which the run chose by itself.
    killed = Training(args, 'killed')
    counts = kill_repeatedly(killed, args)
    seed, other = killed.run()
    one = Training(args, 'alone', seed).run()[1]
    different = [p for p in {*one, *other} if p not in one or one[p] != other.get(p)]
    if different:
        sys.exit(f'{len(different)} values differ, such as {sorted(different)[:5]}')
    tensors = sum(isinstance(value, tuple) for value in one.values())
    kinds = ', '.join(f'{counts[kind]} while {kind}' for kind in KINDS)
    what = 'kills' if args.signal == 'KILL' else 'SIGTERMs'
    print(
        f'{what} survived: {args.kills} ({kinds}); processes: {args.processes}; after '
        f'{args.iterations} iterations {tensors} of {tensors} tensors are bit-identical'
    )


if __name__ == '__main__':
    main()
