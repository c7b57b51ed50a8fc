"""Try damaged images, masks, checkpoints and points: ``python tests/fuzz/run.py --minutes 10``.

Prints how many inputs were tried and how they ended. Ends with exit code 1 if one of them raised
anything but the clear errors that users are promised, crashed the process, took longer than 30
seconds or more than 4 GiB of memory. Inputs are numbered, and the same number is the same input:
``--target image --first 1234 --inputs 1`` tries that one again.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Callable, NamedTuple

import torch

Target = Callable[[Random], str]


class Limits(NamedTuple):
    """When one input counts as a finding."""

    seconds: float = 30
    gigabytes: float = 4
    """Memory beyond what the process has at its start."""


def _work(target: Target, name: str, first: int, limits: Limits, results: Connection) -> None:
    """Try inputs one after the other and send their outcomes; runs in a process of its own."""
    warnings.simplefilter('ignore')  # Pillow's, about metadata and large images
    torch.set_num_threads(1)  # threads of the parent do not live here: waiting for them never ends
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + int(limits.gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    number = first
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        while True:
            try:
                outcome, detail = target(Random(f'{name} {number}')), ''
            except Exception:
                outcome, detail = 'FINDING', traceback.format_exc()
            results.send((outcome, detail))
            number += 1


def fuzz(
    target: Target, name: str, seconds: float, inputs: int, first: int, limits: Limits
) -> tuple[Counter, list[str]]:
    """Try inputs until the time is over or their number reached; outcomes and findings."""
    outcomes: Counter = Counter()
    findings: list[str] = []
    end, number, process = time.monotonic() + seconds, first, None
    while number < first + inputs and time.monotonic() < end and len(findings) < 20:
        if process is None:
            here, there = multiprocessing.Pipe(duplex=False)
            process = multiprocessing.get_context('fork').Process(
                target=_work, args=(target, name, number, limits, there), daemon=True
            )
            process.start()
            there.close()
        outcome, detail = 'FINDING', f'no answer within {limits.seconds} s'
        try:
            if here.poll(limits.seconds):
                outcome, detail = here.recv()
        except EOFError:
            process.join()
            detail = f'the process died (exit code {process.exitcode})'
        outcomes[outcome] += 1
        number += 1
        if outcome == 'FINDING':
            findings.append(f'{name} {number - 1}: {detail}')
            process.kill()
            process = None
    if process is not None:
        process.kill()
    return outcomes, findings


def main() -> int:
    from targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--minutes', type=float, default=1, help='in all, over all targets [1]')
    parser.add_argument('--inputs', type=int, default=10**9, help='at most, for each target')
    parser.add_argument('--first', type=int, default=0, help='number of the first input [0]')
    parser.add_argument('--target', choices=tuple(TARGETS), help='only this one')
    args = parser.parse_args()
    names = [args.target] if args.target else list(TARGETS)
    total, found = 0, []
    for name in names:
        seconds = 60 * args.minutes / len(names)
        given = TARGETS[name], name, seconds, args.inputs, args.first, Limits()
        outcomes, findings = fuzz(*given)
        total += sum(outcomes.values())
        found += findings
        text = ', '.join(f'{count} {outcome}' for outcome, count in sorted(outcomes.items()))
        print(f'{name:8} {sum(outcomes.values()):8} inputs: {text}', flush=True)
    for finding in found:
        print(finding)
    print(f'{total} inputs in all, {len(found)} findings')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
