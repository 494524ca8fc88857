"""Runs: from the name of an environment and settings to a trained and evaluated policy.

    from pufferlib.runs import Run

    run = Run.configure("CartPole-v1", {"train.seed": 2})
    checkpoint = run.train()
    print(run.evaluate(checkpoint)["sampled"])

`settings` combines presets and overrides, `run` makes environment and policy from them; `train`
trains in a `folder`, with its `provenance`; `resume` says which settings can change, `seeds` trains
several; `evaluation` evaluates checkpoints, `film` and `video` show them, `curves` reads and draws
their metrics; `loaded_policy` acts in plain environments, `export` writes ONNX and TorchScript. The
command line is a thin layer above.
"""

from pufferlib.runs.run import Run

__all__ = ["Run"]
