"""Two short runs of one game, with unlike networks."""

import pytest
from match_runs import trained


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return the folders of two runs of tic-tac-toe: one without memory, one with an LSTM."""
    folder = tmp_path_factory.mktemp("runs")
    plain = trained(folder / "plain")
    other = trained(folder / "recurrent", policy__memory="lstm", policy__hidden_size=16)
    return str(plain), str(other)
