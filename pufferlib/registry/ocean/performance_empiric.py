"""Performance with delays like those of games: most steps short, a few very long."""

import math

from pufferlib.registry.ocean.performance import Performance


class PerformanceEmpiric(Performance):
    """As `Performance`, but the delays of steps are log-normal, of the same mean and deviation."""

    def draw_delay_us(self) -> float:
        """Return how long the next step is to take, in microseconds."""
        if self.delay_mean_us == 0:
            return 0.0
        variance = math.log1p((self.delay_std_us / self.delay_mean_us) ** 2)  # of the logarithm
        mean = math.log(self.delay_mean_us) - variance / 2
        return float(self.np_random.lognormal(mean, math.sqrt(variance)))
