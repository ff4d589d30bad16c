"""The short form of corruption.py: no damage of any kind of file is believed, and every one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.robustness import corrupted_commands, corruption
from tests.robustness.damage import DAMAGES


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> corruption.Site:
    """Files to damage."""
    return corruption.Site(tmp_path_factory.mktemp("site"))


def test_damage_is_told_or_harmless(site: corruption.Site) -> None:
    tally = corruption.trials(site, 250)
    assert tally.trials == 250
    assert not tally.losses, str(tally)
    assert tally.told.total() > 150, "the damages do something"


@pytest.mark.nightly
def test_damage_is_told_or_harmless_a_thousand_times(site: corruption.Site) -> None:
    tally = corruption.trials(site, 1000, seed=1)
    assert not tally.losses, str(tally)
    assert len(DAMAGES) == 10


def test_a_command_mends_what_it_can_and_names_what_it_cannot(tmp_path: Path) -> None:
    tally = corrupted_commands.trials(tmp_path, 1)
    assert tally.trials == 1
    assert not tally.losses, str(tally)


@pytest.mark.nightly
def test_commands_mend_what_they_can_many_times(tmp_path: Path) -> None:
    tally = corrupted_commands.trials(tmp_path, 24, seed=1)
    assert not tally.losses, str(tally)
