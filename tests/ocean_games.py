"""Play Ocean's environments, for their tests."""

import gymnasium


def play(env, choose, steps):
    """Return the infos of `steps` from seed 0; `choose` takes the observations, returns actions."""
    observations, infos = env.reset(seed=0)
    infos = list(infos)
    for _ in range(steps):
        observations, *_, step_infos = env.step(choose(observations))
        infos += step_infos
    return infos


def mean_score(infos):
    scores = [info["score"] for info in infos]
    return sum(scores) / len(scores)


def at_random(env):
    """Return a function that chooses uniformly random actions."""
    space = gymnasium.vector.utils.batch_space(env.single_action_space, env.num_agents)
    space.seed(0)
    return lambda observations: space.sample()
