"""Measure which backend, how many environments and how many workers suit this machine.

`env_profile` times one environment, `candidates` picks the few setups worth a trial, and `autotune`
measures them in turn and chooses one.
"""
