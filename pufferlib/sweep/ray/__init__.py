"""Trials on the nodes of a Ray cluster.

`executor` is what the sweep sees, `actor` what runs a trial on a node, `files` copies the folder of
the trial to the node and back, as it changes.
"""
