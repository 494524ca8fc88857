import optuna
from optuna.trial import TrialState, create_trial
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from pufferlib.sweep.hparams import write_hparams


def test_tensorboard_reads_settings_and_values_of_every_trial(tmp_path):
    study = optuna.create_study(directions=["maximize", "minimize"])
    for number, settings in enumerate(({"train.horizon": 32, "train.target_kl": None}, {"a": 0.5})):
        attributes = {"settings": settings}
        study.add_trial(create_trial(values=[10.0 + number, 2.5], user_attrs=attributes))
        write_hparams(study, tmp_path)  # the second time only the second
    study.add_trial(create_trial(state=TrialState.FAIL))
    write_hparams(study, tmp_path)

    assert {path.name for path in (tmp_path / "hparams").glob("0*")} == {"0000", "0001"}
    events = EventAccumulator(str(tmp_path / "hparams" / "0000")).Reload()
    assert [event.value for event in events.Scalars("score")] == [10.0]
    assert [event.value for event in events.Scalars("cpu_s")] == [2.5]
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["train.horizon"].number_value == 32
    assert found["train.target_kl"].string_value == "None"
