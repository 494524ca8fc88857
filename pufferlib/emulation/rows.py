"""What emulated environments that write rows have in common, whatever their interface."""

from typing import TYPE_CHECKING, Generic, TypeVar

from pufferlib.annotations import Rendered
from pufferlib.environment import PufferEnv

if TYPE_CHECKING:
    from pufferlib.emulation.multi import PettingZooPufferEnv
    from pufferlib.emulation.single import GymnasiumPufferEnv

Emulated = TypeVar("Emulated", bound="GymnasiumPufferEnv | PettingZooPufferEnv")


class EmulatedRows(PufferEnv, Generic[Emulated]):
    """An emulated environment as a `PufferEnv`: its spaces and layouts, rendering and closing.

    Args:
        env: the emulated environment.
        num_agents: how many rows it has.
    """

    def __init__(self, env: Emulated, num_agents: int) -> None:
        self.env = env
        self.single_observation_space = env.single_observation_space
        self.single_action_space = env.single_action_space
        self.observation_layout, self.action_layout = env.observation_layout, env.action_layout
        self.num_agents = num_agents
        self.render_mode, self.metadata = env.render_mode, env.metadata
        super().__init__()

    @property
    def user_env(self) -> Emulated:
        """The emulated environment."""
        return self.env

    def render(self) -> Rendered:
        """Return the environment's rendering."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()
