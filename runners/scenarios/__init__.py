"""Scenario files: read with the line of every key, checked whole, every mistake told where it stands."""
