"""Networks for kinds of observations, and the names that `--policy.name` takes."""

POLICIES = {
    "auto": "pufferlib.policies.by_observation:policy_of",
    "default": "pufferlib.models:Default",
    "mlp": "pufferlib.policies.mlp:MLP",
    "cnn": "pufferlib.policies.pixels:NatureCNN",
    "impala": "pufferlib.policies.pixels:Impala",
    "grid": "pufferlib.policies.grid:GridPolicy",
    "masked": "pufferlib.policies.masked:MaskedDefault",
    "connect_four": "pufferlib.policies.connect_four:ConnectFour",
}
"""By name, where each is: module:name, as `pufferlib.references.load_attribute` takes it."""
