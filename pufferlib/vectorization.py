"""The published path of `pufferlib.published.vectorization`; see docs/published-names.md."""

from pufferlib.published.vectorization import Multiprocessing, Ray, RayVecEnv, Serial

__all__ = ["Multiprocessing", "Ray", "RayVecEnv", "Serial"]
