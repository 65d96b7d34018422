"""Checkpoints: a running model saved, gone on with bit for bit, and branched.

:mod:`.graph` makes a tree of the state of a model, :mod:`.reader` puts it into a fresh one, :mod:`.files` keeps it on
disk, :mod:`.state` is the two together, :mod:`.running` saves every few days, :mod:`.branch` lets many futures follow
one past.
"""
