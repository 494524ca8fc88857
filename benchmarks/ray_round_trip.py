"""Compare a round trip through Ray with one through shared memory; print a ratio.

    python benchmarks/ray_round_trip.py --rounds 5

CartPole, two workers, one environment each: a step is so short that the round trip to the workers
dominates. The two run in turns; the ratio is the median over the rounds.
"""

import argparse
import statistics
import time

import gymnasium

import pufferlib.vector

STEPS = {"Multiprocessing": 20_000, "Ray": 500}


def steps_per_second(envs: pufferlib.vector.VectorEnv, steps: int) -> float:
    began_s = time.perf_counter()
    for _ in range(steps):
        envs.step([0, 1])
    return steps * envs.num_envs / (time.perf_counter() - began_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rates: dict[str, list[float]] = {name: [] for name in STEPS}
    made = {
        name: pufferlib.vector.make(
            gymnasium.make, ["CartPole-v1"], backend=name, num_envs=2, num_workers=2
        )
        for name in STEPS
    }
    for envs in made.values():
        envs.reset(seed=0)
    for _ in range(rounds):
        for name, steps in STEPS.items():
            rates[name].append(steps_per_second(made[name], steps))
    for envs in made.values():
        envs.close()
    for name in STEPS:
        print(f"{name}: {statistics.median(rates[name]):,.0f} environment steps per second")
    pairs = zip(*rates.values(), strict=True)
    print(f"ratio: {statistics.median(shared / ray for shared, ray in pairs):.0f}")


if __name__ == "__main__":
    main()
