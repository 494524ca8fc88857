"""Play two environments with the same seed and actions, and compare their results."""

STEPS, SEED = 200, 3


def play(env, other, act, agree):
    """Play two Gymnasium environments side by side, through the ends of episodes.

    Args:
        env: a `GymnasiumPufferEnv`, which chooses the actions.
        other: a Gymnasium environment.
        act: (flat action, action space of `other`) -> action for `other`.
        agree: (what `env` shows, unflattened, what `other` shows) -> None; raises.
    """
    unflatten = env.observation_layout.unflatten
    env.action_space.seed(SEED)
    agree(unflatten(env.reset(seed=SEED)[0]), other.reset(seed=SEED)[0])
    for _ in range(STEPS):
        action = env.action_space.sample()
        observation, *results, _ = env.step(action)
        expected, *expected_results, _ = other.step(act(action, other.action_space))
        agree(unflatten(observation), expected)
        assert results == expected_results  # reward, terminated, truncated
        if results[1] or results[2]:
            agree(unflatten(env.reset()[0]), other.reset()[0])


def play_parallel(env, other, act, agree):
    """Play a `PettingZooPufferEnv` and a PettingZoo parallel environment, as `play` does."""
    unflatten = env.observation_layout.unflatten

    def agree_on_all(rows, expected):
        agree({agent: unflatten(row) for agent, row in rows.items()}, expected)

    for number, agent in enumerate(env.possible_agents):
        env.action_space(agent).seed(SEED + number)
    agree_on_all(env.reset(seed=SEED)[0], other.reset(seed=SEED)[0])
    for _ in range(STEPS):
        actions = {agent: env.action_space(agent).sample() for agent in env.agents}
        observations, *results, _ = env.step(actions)
        expected, *expected_results, _ = other.step(
            {agent: act(actions[agent], other.action_space(agent)) for agent in actions}
        )
        agree_on_all(observations, expected)
        assert results == expected_results  # rewards, terminations, truncations: dicts by agent
        assert env.agents == other.agents
        if not env.agents:
            agree_on_all(env.reset()[0], other.reset()[0])
