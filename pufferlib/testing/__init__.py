"""The conformance kit: check that an environment, or a vectorizer, keeps its contract.

    pufferlib.testing.check_env(make_env)
    pufferlib.testing.check_vector(pufferlib.vector.make(make_env, num_envs=4))

Each returns None, or raises a `ContractError` that says what was found, what is expected, and how
to fix it. Use them to test your own environments.

`env` and `vector` play at random; `rows`, `infos` and `returns` check the results; `breach` formats
the errors.
"""

from pufferlib.testing.env import check_env
from pufferlib.testing.vector import check_vector

__all__ = ["check_env", "check_vector"]
