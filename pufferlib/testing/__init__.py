"""The conformance kit: finds out whether an environment, or a vectorizer, keeps its contract.

    pufferlib.testing.check_env(make_env)
    pufferlib.testing.check_vector(pufferlib.vector.make(make_env, num_envs=4))

Each returns nothing, or raises a `ContractError` that says what was found, what is due, and how to
mend it. Third parties run it on their own environments.

`env` and `vector` play; `rows`, `infos` and `returns` check what either gave; `breach` words what
was found.
"""

from pufferlib.testing.env import check_env
from pufferlib.testing.vector import check_vector

__all__ = ["check_env", "check_vector"]
