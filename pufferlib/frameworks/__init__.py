"""Thin adapters that make policies usable in other learning libraries."""
