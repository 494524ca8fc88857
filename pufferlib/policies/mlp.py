"""Separate multilayer perceptrons for policy and value."""

from torch import Tensor, nn

from pufferlib.emulation.description import HasSpaces
from pufferlib.models import ActionHeads, FlatFeatures
from pufferlib.pytorch import Heads, layer_init


class MLP(nn.Module):
    """Two multilayer perceptrons that share no weights, one for the actions, one for the value.

    CleanRL's ppo.py and Stable-Baselines3's MlpPolicy do the same. The gradient of the value loss
    does not affect the policy's features, whatever the scale of the rewards. There is no shared
    encoder that a recurrent layer could follow: use `pufferlib.models.Default` for that.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of each hidden layer.
        layers: number of hidden layers in each perceptron.
    """

    normalize_observations = True

    def __init__(self, env: HasSpaces, hidden_size: int = 64, layers: int = 2) -> None:
        super().__init__()
        self.features = FlatFeatures(env)
        self.actor = _hidden_layers(self.features.size, hidden_size, layers)
        self.critic = _hidden_layers(self.features.size, hidden_size, layers)
        self.decoder = ActionHeads(env, hidden_size)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def forward(self, observations: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value (B, 1)) for flat observations (B, ...)."""
        features = self.features(observations)
        return self.decoder(self.actor(features)), self.value_head(self.critic(features))


def _hidden_layers(inputs: int, width: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [layer_init(nn.Linear(inputs, width)), nn.Tanh()]
        inputs = width
    return nn.Sequential(*layers)
