"""The `Ray` backend: workers are actors of a Ray cluster, on one machine or on many.

`backend` checks the arguments, `cluster` joins or starts Ray, `workers` creates and watches the
actors, and `actor` is what runs in one.
"""
