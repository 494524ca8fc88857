"""The published path of environment families: `pufferlib.environments.ocean.make_env`.

Today they are in `pufferlib.registry`; see docs/published-names.md.
"""

from pufferlib.published.environments import add_families

add_families(__name__)
