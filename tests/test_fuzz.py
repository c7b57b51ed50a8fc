"""tests/fuzz: that it finds what is there, and that there is nothing to find."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from run import Limits, fuzz
from targets import TARGETS

FUZZ = Path(__file__).parent / 'fuzz'


def _raises(random: Random) -> str:
    raise KeyError('planted')


def _hangs(random: Random) -> str:
    time.sleep(60)
    return 'never'


def _dies(random: Random) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return 'never'


def _eats(random: Random) -> str:
    bytearray(2**30)
    return 'full'


PLANTED = {
    _raises: "KeyError: 'planted'",
    _hangs: 'no answer within 3 s',
    _dies: r'the process died (exit code -9)',
    _eats: 'MemoryError',
}


@pytest.mark.parametrize('target', PLANTED, ids=lambda target: target.__name__)
def test_planted_findings_are_found(target):
    def planted(random: Random) -> str:
        return target(random) if random.random() < 0.5 else 'well'

    limits = Limits(3 if target is _hangs else 60, 0.5)
    outcomes, findings = fuzz(planted, 'planted', 600, 3, 105, limits)
    expected = [n for n in range(105, 108) if Random(f'planted {n}').random() < 0.5]
    assert len(expected) == 1
    assert [finding.split(':')[0] for finding in findings] == [f'planted {n}' for n in expected]
    assert all(PLANTED[target] in finding for finding in findings)
    assert outcomes == {'FINDING': len(expected), 'well': 2}


@pytest.mark.parametrize('name', TARGETS)
def test_a_hundred_inputs(name):
    outcomes, findings = fuzz(TARGETS[name], name, 600, 100, 0, Limits())
    assert not findings, findings[0]
    assert sum(outcomes.values()) == 100
    assert len(outcomes) == 2  # some are good, others refused


@pytest.mark.slow
def test_thousands_of_inputs():
    command = [sys.executable, str(FUZZ / 'run.py'), '--minutes', '0.2', '--first', '5000']
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].endswith(' inputs in all, 0 findings')
    assert int(done.stdout.splitlines()[-1].split()[0]) > 400
