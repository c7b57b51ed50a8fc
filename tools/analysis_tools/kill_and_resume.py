"""Kill a training again and again, and compare its end with that of one that was left alone.

    python tools/analysis_tools/kill_and_resume.py configs/coordgan/toyfaces_32.py --kills 20

Kills are ``kill -9`` of all processes at random moments: while the program starts, while it
trains, and while it writes a checkpoint. After each one, the checkpoint that ``last_checkpoint``
names must be complete, and no iterations may be lost but those since the last checkpoint. With
``--signal TERM``, processes are asked to end while they train, and no iteration may be lost.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

from mmcoordgan.engine import check_checkpoint_file
from mmcoordgan.work_dir import last_checkpoint

TRAIN = Path(__file__).parents[1] / 'train.py'
INTERVAL = 5
KINDS = ('starting', 'training', 'saving')
STATE = ('state_dict', 'optimizer', 'param_schedulers', 'random_states', 'data')
"""Parts of a checkpoint that must be equal; the others hold times and paths."""


class Training:
    """A training in a work dir, of processes that can be killed together."""

    def __init__(self, args: argparse.Namespace, work_dir: Path):
        self.work_dir = work_dir
        work_dir.mkdir(parents=True, exist_ok=True)
        program = [sys.executable, str(TRAIN)]
        if args.processes > 1:
            program = [sys.executable, '-m', 'torch.distributed.run', f'--master_port={_port()}']
            program += [f'--nproc_per_node={args.processes}', str(TRAIN), '--launcher', 'pytorch']
        options = {
            'train_cfg.max_iters': args.iterations,
            'default_hooks.checkpoint.interval': INTERVAL,
            'default_hooks.logger.interval': 1,
            'randomness.seed': None,
        }
        program += [args.config, '--work-dir', str(work_dir), '--resume']
        settings = [f'{key}={value}' for key, value in options.items()]
        self.command = [*program, '--cfg-options', *settings, *args.cfg_options]
        self.output = work_dir.with_suffix('.log')

    def start(self) -> None:
        self.left_behind = self.unfinished()
        self.output_start = self.output.stat().st_size if self.output.exists() else 0
        with open(self.output, 'ab') as output:
            self.process = subprocess.Popen(
                self.command, stdout=output, stderr=output, start_new_session=True
            )

    def kill(self) -> None:
        self._send(signal.SIGKILL, everyone=True)
        self.process.wait()

    def _send(self, number: signal.Signals, everyone: bool) -> None:
        # torchrun gives its processes sessions of their own: a group does not hold them all.
        below = _descendants(self.process.pid) if everyone else []
        for pid in [self.process.pid, *below]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def terminate(self, everyone: bool) -> None:
        """Send SIGTERM to all processes, as Slurm does, or to the first one alone.

        Raises:
            SystemExit: The exit code is not that of a training that was asked to end.
        """
        self._send(signal.SIGTERM, everyone)
        code = self.process.wait()
        # torchrun has an exit code of its own.
        if code != 143 and not (code > 0 and '--launcher' in self.command):
            sys.exit(f'SIGTERM led to exit code {code}:\n{self.output.read_text()[-3000:]}')

    def finish(self) -> None:
        """Wait for the end.

        Raises:
            SystemExit: The training failed.
        """
        if self.process.wait() != 0:
            sys.exit(f'the training failed:\n{self.output.read_text()[-3000:]}')

    def iteration(self) -> int:
        """The last iteration that this start has logged, or 0."""
        with open(self.output, 'rb') as output:
            output.seek(self.output_start)
            found = re.findall(rb'Iter\(train\) *\[ *(\d+)/', output.read())
        return int(found[-1]) if found else 0

    def saved(self) -> int:
        """The iteration of the last checkpoint, which is checked, or 0."""
        path = last_checkpoint(str(self.work_dir))
        if path is None:
            return 0
        check_checkpoint_file(path)
        return int(torch.load(path, weights_only=True)['meta']['iter'])

    def unfinished(self) -> set[str]:
        """Files that are being written, or that a kill left behind."""
        return {name for name in os.listdir(self.work_dir) if name.endswith('.part')}

    def writing(self) -> bool:
        """Whether this start is writing a file, or was killed while it did."""
        return bool(self.unfinished() - self.left_behind)


def _descendants(pid: int) -> list[int]:
    """All processes below a process."""
    table = subprocess.run(['ps', '-eo', 'pid=,ppid='], capture_output=True, text=True, check=True)
    children: dict[int, list[int]] = {}
    for line in table.stdout.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found = list(children.get(pid, []))
    for child in found:  # grows while it is read
        found += children.get(child, [])
    return found


def _port() -> int:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def wait_for_moment(training: Training, kind: str, source: random.Random, startup: float) -> None:
    """Return at a random moment of a kind, or when the training has ended."""
    begin = time.monotonic()
    if kind == 'starting':
        time.sleep(source.uniform(0, startup))
        return
    target = source.randint(1, 2 * INTERVAL)
    first = 0
    while training.process.poll() is None and time.monotonic() < begin + 300:
        now = training.iteration()
        first = first or now
        if kind == 'training' and now and now >= first + target:
            time.sleep(source.uniform(0, 0.3))
            return
        if kind == 'saving' and now:
            while training.process.poll() is None:
                if training.writing():
                    return
                time.sleep(0.0005)
        time.sleep(0.02)


def kill_repeatedly(training: Training, args: argparse.Namespace) -> dict[str, int]:
    """Start and kill ``args.kills`` times; count the kills by what they interrupted.

    Raises:
        SystemExit: A kill did damage, or the training ended too early.
    """
    source = random.Random(args.seed)
    counts = dict.fromkeys(KINDS, 0)
    for number in range(args.kills):
        saved, kind = training.saved(), KINDS[number % len(KINDS)]
        if args.signal == 'TERM':
            kind = 'training'
        training.start()
        wait_for_moment(training, kind, source, args.startup)
        if training.process.poll() is not None:
            sys.exit(f'the training ended before kill {number + 1}: give more --iterations')
        if args.signal == 'TERM':
            training.terminate(everyone=number % 2 == 0)
        else:
            training.kill()
        seen, now = training.iteration(), training.saved()
        caught = 'saving' if training.writing() else 'training' if seen else 'starting'
        counts[caught] += 1
        print(
            f'kill {number + 1}, while {caught}: at iteration {seen or saved} or the next, goes '
            f'on from {now}',
            flush=True,
        )
        # A logged iteration that ends an interval may not have been saved yet.
        bearable = 0 if args.signal == 'TERM' else INTERVAL
        if now < saved or seen - now > bearable:
            sys.exit(f'iterations {now + 1} to {seen} are lost: more than {bearable}')
    return counts


def differences(first: object, second: object, place: str = '') -> list[str]:
    """Where two checkpoints are not equal to the last bit."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        same = first.dtype == second.dtype and first.shape == second.shape
        if same:
            one, other = (t.contiguous().flatten().view(torch.uint8) for t in (first, second))
            same = torch.equal(one, other)
        return [] if same else [place]
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return [d for k in first for d in differences(first[k], second[k], f'{place}.{k}')]
    if isinstance(first, (list, tuple)) and type(first) is type(second):
        if len(first) != len(second):
            return [place]
        pairs = enumerate(zip(first, second))
        return [d for i, (one, other) in pairs for d in differences(one, other, f'{place}.{i}')]
    return [] if first == second else [place]


def compare(reference: Path, other: Path) -> tuple[int, list[str]]:
    """Number of tensors in the first of two final checkpoints, and where the second differs."""
    one, two = (torch.load(path, weights_only=True) for path in (reference, other))
    one, two = ({key: c.get(key) for key in STATE} for c in (one, two))
    return _count(one), differences(one, two)


def _count(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return sum(map(_count, value))
    return int(isinstance(value, torch.Tensor))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--kills', type=int, default=20, help='how often to kill [20]')
    parser.add_argument(
        '--signal', choices=('KILL', 'TERM'), default='KILL', help='what to interrupt with [KILL]'
    )
    parser.add_argument('--processes', type=int, default=1, help='processes that train [1]')
    parser.add_argument('--iterations', type=int, help='length of the training [12 for each kill]')
    parser.add_argument('--seed', type=int, default=0, help='of the moments and kinds [0]')
    parser.add_argument(
        '--startup', type=float, default=6.0, help='seconds within which to kill a start [6]'
    )
    parser.add_argument(
        '--work-dir',
        default='work_dirs/kill_and_resume',
        help='where both trainings go, as alone and killed; those of an earlier call are removed '
        'first, and nothing else [work_dirs/kill_and_resume]',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='as for train.py'
    )
    args = parser.parse_args(argv)
    args.iterations = args.iterations or 12 * args.kills + 12
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    folder = Path(args.work_dir)
    for name in ('alone', 'killed'):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / f'{name}.log').unlink(missing_ok=True)

    # The run that is killed first: the other one needs its seed, which the run chose by itself.
    killed = Training(args, folder / 'killed')
    counts = kill_repeatedly(killed, args)
    killed.start()
    killed.finish()
    final = f'iter_{args.iterations}.pth'
    seed = torch.load(folder / 'killed' / final, weights_only=True)['meta']['seed']
    args.cfg_options = [*args.cfg_options, f'randomness.seed={seed}']
    alone = Training(args, folder / 'alone')
    alone.start()
    alone.finish()

    tensors, different = compare(folder / 'alone' / final, folder / 'killed' / final)
    if different:
        sys.exit(f'{len(different)} of {tensors} tensors differ, such as {different[:5]}')
    kinds = ', '.join(f'{count} while {kind}' for kind, count in counts.items())
    what = 'kills' if args.signal == 'KILL' else 'SIGTERMs'
    print(
        f'{what} survived: {args.kills} ({kinds}); processes: {args.processes}; after '
        f'{args.iterations} iterations {tensors} of {tensors} tensors are bit-identical'
    )


if __name__ == '__main__':
    main()
