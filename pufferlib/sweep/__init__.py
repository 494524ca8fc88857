"""Search the settings of a run: trials, samplers, and what they found."""
