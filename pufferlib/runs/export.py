"""Export the policy of a run to TorchScript or ONNX, to act without pufferlib.

The exported model takes the parts of an observation by name, in their own dtypes, and returns the
parameters of the action distributions and the value. A recurrent one also takes and returns its
state. All have a first dimension for the rows of a batch.
"""

import importlib.util
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pufferlib.agent_policies import AgentPolicies
from pufferlib.emulation import Layout
from pufferlib.exceptions import ArgumentError, NotInstalledError
from pufferlib.runs.exported_model import ExportedModel, Value
from pufferlib.runs.folder import CHECKPOINT
from pufferlib.runs.loaded_policy import load

_FORMATS = {".pt": "TorchScript", ".onnx": "ONNX"}
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
_TRACED_ROWS, _CHECKED_ROWS = 2, 5
_TOLERANCE = 1e-4  # of a model that is right; one that is wrong differs by far more
_ADVICE = (
    "Its forward must be made of torch operations, without branches that depend on values, and "
    "read observations by pufferlib.pytorch.unflatten. Try the other format, or use pufferlib.load."
)


class Exported(NamedTuple):
    """What an exported model takes and returns, in this order."""

    inputs: list[Value]
    outputs: list[Value]


def export(
    run: Path | str, out: Path | str, checkpoint: str = CHECKPOINT, policy: str | None = None
) -> Exported:
    """Write the policy of a run to a file; return the inputs and outputs of the model.

    Before the file takes its place, the model's outputs on random observations are compared with
    those of the policy.

    Args:
        run: folder of the run, or a checkpoint file.
        out: FILE.pt for TorchScript, FILE.onnx for ONNX.
        checkpoint: in the folder.
        policy: the name of one of several (`policy.agents`); None for a run with one.

    Raises:
        ArgumentError: the format is unknown, the run has no such policy, the policy cannot be
            exported to it, or the file cannot be written.
        NotInstalledError: the packages of ONNX are missing.
        CheckpointError, UnknownNameError: see `pufferlib.load`.
    """
    out = Path(out)
    if out.suffix not in _FORMATS:
        raise ArgumentError(f"--out must end in {' or '.join(_FORMATS)}; got {out}.")
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if out.suffix == ".onnx" and missing:
        raise NotInstalledError(
            f"{missing[0]} is not installed. Run: puffer install export   (or: pip install "
            f'"pufferlib[export]")'
        )
    loaded = load(run, checkpoint)
    return export_network(_chosen(loaded.network, policy), loaded.observation_layout, out)


def _chosen(network: nn.Module, name: str | None) -> nn.Module:
    """Return the network to export: that of the policy `name`, if there are several."""
    names = list(network.policies) if isinstance(network, AgentPolicies) else []
    if name is None and not names:
        return network
    if not isinstance(network, AgentPolicies):
        raise ArgumentError(
            f"The run has one policy, which acts for all agents; got the name {name!r}. Leave out "
            f"--policy."
        )
    if name is None or name not in names:
        got = "none was named" if name is None else f"got {name!r}"
        raise ArgumentError(
            f"The run has the policies {', '.join(names)}, and one can be exported to a file; "
            f"{got}. Name one of them with --policy."
        )
    return network.policies[name]


def export_network(network: nn.Module, layout: Layout, out: Path) -> Exported:
    """Write a policy to a file; see `export`.

    Args:
        network: a `Policy` or a `RecurrentPolicy`, on the CPU, in eval mode.
        layout: `observation_layout` of its environment.
        out: as in `export`.
    """
    try:
        model = ExportedModel(network, layout).eval()
        model.requires_grad_(False)
        inputs = model.example(_TRACED_ROWS)
        outputs = model(*inputs)
    except ArgumentError:
        raise
    except Exception as error:  # of the policy's forward, which gets parts in place of bytes
        raise _unexportable(network, out, error) from error
    temporary = out.with_name(f".{out.stem}{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        try:
            _write_and_check(model, inputs, temporary)
            os.replace(temporary, out)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ArgumentError(
            f"{out} cannot be written: {error.strerror}. Name another file with --out."
        ) from error
    return Exported(
        model.described(model.input_names, inputs), model.described(model.output_names, outputs)
    )


def _write_and_check(model: ExportedModel, inputs: tuple[Tensor, ...], path: Path) -> None:
    """Write the model; compare it with the policy, on other rows than it was traced on.

    Raises:
        ArgumentError: torch cannot export it, or the outputs differ.
    """
    write, read = _WRITERS[path.suffix]
    try:
        write(model, inputs, path)
        call = read(path)
        different = _different_outputs(model, call)
    except OSError:
        raise
    except Exception as error:  # torch raises many kinds for what it cannot trace
        raise _unexportable(model.network, path, error) from error
    if different:
        raise ArgumentError(
            f"{_refusal(model.network, path)}: of what was written, {', '.join(different)} differ "
            f"from the policy's. {_ADVICE}"
        )


def _different_outputs(model: ExportedModel, call: Callable[..., Sequence[Tensor]]) -> list[str]:
    inputs = model.example(_CHECKED_ROWS)
    rows = torch.from_numpy(model.rows(_CHECKED_ROWS))
    with torch.no_grad():
        expected, found = model.flat(*model.call(rows, inputs)), call(*inputs)
    return [
        name
        for name, one, other in zip(model.output_names, found, expected, strict=True)
        if not torch.allclose(one, other, _TOLERANCE, _TOLERANCE, equal_nan=True)
    ]


def _write_script(model: ExportedModel, inputs: tuple[Tensor, ...], path: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter(
            "ignore"
        )  # of branches, which `_write_and_check` covers, and deprecation
        torch.jit.trace(model, inputs, check_trace=False).save(str(path))


def _read_script(path: Path) -> Callable[..., Sequence[Tensor]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation
        loaded: Callable[..., Sequence[Tensor]] = torch.jit.load(str(path))
    return loaded


def _write_onnx(model: ExportedModel, inputs: tuple[Tensor, ...], path: Path) -> None:
    rows = torch.export.Dim("rows")
    places = [model.rows_dim(name) for name in model.input_names]
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of packages that are not needed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own deprecated calls
            torch.onnx.export(
                model,
                inputs,
                str(path),
                input_names=model.input_names,
                output_names=model.output_names,
                dynamic_shapes=(tuple({place: rows} for place in places),),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        logger.setLevel(level)


def _read_onnx(path: Path) -> Callable[..., Sequence[Tensor]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def call(*inputs: Tensor) -> Sequence[Tensor]:
        given = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return [torch.from_numpy(output) for output in session.run(None, given)]

    return call


_WRITERS: dict[str, tuple[Callable[..., None], Callable[[Path], Callable[..., Sequence[Tensor]]]]]
_WRITERS = {".pt": (_write_script, _read_script), ".onnx": (_write_onnx, _read_onnx)}


def _unexportable(network: nn.Module, path: Path, error: Exception) -> ArgumentError:
    reason = f"{type(error).__name__}: {_first_line(error)}"
    return ArgumentError(f"{_refusal(network, path)}: {reason}. {_ADVICE}")


def _refusal(network: nn.Module, path: Path) -> str:
    return f"{type(network).__name__} cannot be exported to {_FORMATS[path.suffix]}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
