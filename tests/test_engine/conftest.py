"""A short training that several tests look at."""

import pytest
from engine_toy import runner


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """A run of four iterations that saved at two and at four: its folder, and the Runner."""
    folder = tmp_path_factory.mktemp('trained')
    run = runner(folder)
    run.train()
    return folder, run
