"""Settings, scores and costs of a sweep for the HParams page of TensorBoard."""

from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import TrialState

HPARAMS = "hparams"


def write_hparams(study: Study, folder: Path) -> None:
    """Write an event file for each trial that has a score, those that have none yet.

    Args:
        study: of the sweep.
        folder: of the sweep; the files are in `hparams/0007` and so on.
    """
    known = {path.name for path in (folder / HPARAMS).glob("*")}
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    missing = [trial for trial in done if f"{trial.number:04}" not in known]
    if not missing:
        return
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(folder / HPARAMS)
    try:
        for trial in missing:
            settings = trial.user_attrs["settings"].items()
            shown = {key: "None" if value is None else value for key, value in settings}
            values = dict(zip(("score", "cpu_s"), trial.values, strict=True))
            writer.add_hparams(shown, values, run_name=f"{trial.number:04}")
    finally:
        writer.close()
