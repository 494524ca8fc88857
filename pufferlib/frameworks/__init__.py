"""Thin bindings that hand a policy to a learning library."""
