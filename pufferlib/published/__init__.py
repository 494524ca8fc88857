"""What PufferLib 0.x and 1.0 published, for programs written for them: thin layers over today's.

New code needs none of it: docs/published-names.md says what to use instead.

| here | reached as |
|---|---|
| `vectorization` | `pufferlib.vectorization` |
| `environments` | `pufferlib.environments.<name>` |
| `postprocess` | `pufferlib.postprocess` |
| `utils` | `pufferlib.utils` |
| `namespace` | `pufferlib.namespace`, `pufferlib.dataclass` |
| `binding`, `emulation` | `pufferlib.emulation.Binding` and others |
| `models` | `pufferlib.models.Recurrent` and others |
| `pytorch` | `pufferlib.pytorch.nativize_tensor` and others |

`pufferlib.published_names` has the last four rows by name.
"""
