"""Networks for environments that a plain one does not suit."""
