"""An exported model returns what the policy returns."""

import importlib.util
import sys
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from rich.console import Console
from torch import nn

import pufferlib
from pufferlib.cli.main import main
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError, NotInstalledError
from pufferlib.models import Default, GRUWrapper, LSTMWrapper, NormalizedObservations
from pufferlib.policies.pixels import NatureCNN
from pufferlib.pytorch import unflatten
from pufferlib.runs import Run
from pufferlib.runs.export import export, export_network

HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))
FORMATS = [
    ".pt",
    pytest.param(
        ".onnx",
        marks=[
            pytest.mark.long,  # each export takes seconds
            pytest.mark.skipif(not HAS_ONNX, reason="needs puffer install export"),
        ],
    ),
]
MIXED = Dict(
    image=Box(0, 255, (4, 4), np.uint8),
    where=Box(-1, 1, (2,), np.float32),
    seen=Discrete(3, start=5),
    flags=MultiBinary(3),
)
# Its float bounds are such that a run normalizes them by default.
WIDE = Dict(
    image=Box(0, 255, (3,), np.uint8),
    where=Box(-9, 9, (2,), np.float32),
    far=Box(-9, 9, (2, 2), np.float64),
    seen=Discrete(3, start=5),
)


class Still(gymnasium.Env):
    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space


def lstm(env):
    return LSTMWrapper(env, NormalizedObservations(env, Default(env, 16)))


def normalized(env):
    return NormalizedObservations(env, Default(env, 16))


# By name: observation space, action space, policy.
POLICIES = {
    "mlp": (Box(-np.inf, np.inf, (5,), np.float32), Discrete(3), lambda env: Default(env, 16)),
    "dict": (MIXED, Dict(f=Box(0, 4, (2,)), c=Discrete(3)), lambda env: Default(env, 16)),
    "cnn": (Box(0, 255, (4, 84, 84), np.uint8), Discrete(6), lambda env: NatureCNN(env, 16)),
    "lstm": (Box(-1, 1, (5,), np.float32), Box(-1, 1, (2,)), lstm),
    "dict_normalized": (WIDE, Discrete(3), normalized),
    "lstm_dict_normalized": (WIDE, Discrete(3), lstm),
    "gru": (MIXED, Discrete(3), lambda env: GRUWrapper(env, Default(env, 16))),
}


def made(name):
    """Return an environment and a policy whose weights and statistics are not those at first."""
    observation_space, action_space, make = POLICIES[name]
    env = GymnasiumPufferEnv(Still(observation_space, action_space))
    torch.manual_seed(1)
    policy = make(env).eval()
    with torch.no_grad():
        for weight in [*policy.parameters(), *policy.buffers()]:
            weight.copy_(weight + 0.05 * torch.rand_like(weight))
    return env, policy


def run_model(path, inputs):
    """Return the outputs of a model by the runtime of its format, all as NumPy's arrays."""
    if path.suffix == ".pt":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is deprecated
            found = torch.jit.load(str(path))(*map(torch.from_numpy, inputs.values()))
        return [output.numpy() for output in found]
    import onnxruntime

    return onnxruntime.InferenceSession(str(path)).run(None, inputs)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", POLICIES)
def test_outputs_are_those_of_the_policy(name, suffix, tmp_path):
    env, policy = made(name)
    path = tmp_path / f"policy{suffix}"
    exported = export_network(policy, env.observation_layout, path)
    space = env.env.observation_space
    space.seed(7)
    for rows in (1, 6):
        samples = [space.sample() for _ in range(rows)]
        if isinstance(space, Dict):
            parts = {key: np.stack([np.asarray(each[key]) for each in samples]) for key in space}
        else:
            parts = {"observation": np.stack(samples)}
        flat = torch.from_numpy(np.stack([env.observation_layout.flatten(s) for s in samples]))
        states = {}
        with torch.no_grad():
            if name.startswith(("lstm", "gru")):
                count = 2 if name.startswith("lstm") else 1
                torch.manual_seed(rows)
                state = tuple(torch.randn(1, rows, 16) for _ in range(count))
                heads, value, after = policy(flat, state if count == 2 else state[0], None)
                states = {f"state_{i}": each.numpy() for i, each in enumerate(state)}
                after = after if count == 2 else (after,)
            else:
                (heads, value), after = policy(flat), ()
        expected = [
            tensor
            for head in (heads if isinstance(heads, list) else [heads])
            for tensor in ([head] if isinstance(head, torch.Tensor) else [head.mean, head.stddev])
        ]
        found = run_model(path, {**parts, **states})
        assert [value.name for value in exported.inputs] == [*parts, *states]
        for output, one in zip(found, [*expected, value.squeeze(-1), *after], strict=True):
            np.testing.assert_allclose(output, one.numpy(), rtol=1e-6, atol=1e-6)


def test_inputs_and_outputs_are_named_with_type_and_shape(tmp_path):
    env, policy = made("dict")
    exported = export_network(policy, env.observation_layout, tmp_path / "policy.pt")
    assert exported.inputs == [
        ("image", "uint8", (4, 4)),
        ("where", "float32", (2,)),
        ("seen", "int64", ()),
        ("flags", "int8", (3,)),
    ]
    assert [value[0] for value in exported.outputs] == ["mean_0", "std_0", "logits_1", "value"]
    env, policy = made("lstm")
    exported = export_network(policy, env.observation_layout, tmp_path / "policy.pt")
    assert exported.inputs == [
        ("observation", "float32", (5,)),
        ("state_0", "float32", (1, 16)),
        ("state_1", "float32", (1, 16)),
    ]
    assert [value.name for value in exported.outputs[:3]] == ["mean", "std", "value"]
    assert exported.outputs[3:] == [
        ("next_state_0", "float32", (1, 16)),
        ("next_state_1", "float32", (1, 16)),
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_run_is_exported_from_the_command_line(tmp_path, capsys, suffix):
    settings = {"vec.backend": "Serial", "vec.num_envs": 2, "train.horizon": 8}
    settings |= {"train.total_timesteps": 32, "train.device": "cpu", "log.tensorboard": False}
    folder, out = tmp_path / "run", tmp_path / "deep" / f"policy{suffix}"
    run = Run.configure("CartPole-v1", {**settings, "run": folder, "train.minibatches": 1})
    run.train(Console(quiet=True))
    capsys.readouterr()
    assert main(["export", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for line in ("input   observation  float32  (4,)", "output  logits       float32  (2,)"):
        assert line in printed
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    policy, observation = pufferlib.load(folder), np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    logits = run_model(out, {"observation": observation[None]})[0]
    assert logits.argmax() == policy(observation, deterministic=True)


class OfAnotherKind(nn.Module):
    def __init__(self, env):
        super().__init__()
        self.layout, self.layer = env.observation_layout, nn.Linear(2, 3)

    def forward(self, observations):
        where = unflatten(observations, self.layout)["where"]
        logits = self.layer(where)
        return torch.distributions.Categorical(logits=logits), where.sum(1, keepdim=True)


class Branching(OfAnotherKind):
    """Depends on a value in a way that a trace does not see."""

    def forward(self, observations):
        where = unflatten(observations, self.layout)["where"]
        logits = self.layer(where)
        return logits if len(observations) < 4 else -logits, where.sum(1, keepdim=True)


class OfBytes(OfAnotherKind):
    """Reads the row itself, not by unflatten."""

    def forward(self, observations):
        logits = self.layer(observations[:, :2].float())
        return logits, logits.sum(1, keepdim=True)


class Repacking(OfAnotherKind):
    """Joins bytes of the parts and reads them again."""

    def forward(self, observations):
        pieces = [observations[:, each.start : each.stop] for each in self.layout.fields]
        logits = self.layer(torch.cat(pieces, 1)[:, :8].view(torch.float32))
        return logits, logits.sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (Repacking, r"to TorchScript: RuntimeError: .*\. Its forward must be made of torch"),
        (OfAnotherKind, "its actions are of a Categorical, and only logits and Normals"),
        (Branching, "of what was written, logits differ from the policy's"),
        (OfBytes, "of what was written, logits, value differ from the policy's"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_not_written(tmp_path, policy, reason):
    env = GymnasiumPufferEnv(Still(MIXED, Discrete(3)))
    with pytest.raises(ArgumentError, match=rf"{policy.__name__} cannot be exported.*{reason}"):
        export_network(policy(env), env.observation_layout, tmp_path / "policy.pt")
    assert not list(tmp_path.iterdir())


def test_mistakes_are_one_clear_line(tmp_path, monkeypatch):
    with pytest.raises(ArgumentError, match=r"--out must end in \.pt or \.onnx; got policy\.h5"):
        export(tmp_path, "policy.h5")
    env, policy = made("mlp")
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match=r"cannot be written: .* Name another file"):
        export_network(policy, env.observation_layout, tmp_path / "file" / "policy.pt")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotInstalledError, match=r"onnx is not installed\. Run: puffer inst"):
        export(tmp_path, "policy.onnx")
