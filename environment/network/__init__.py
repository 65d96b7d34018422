"""Networks of streets as traffic uses them: links with capacities, turns, signals; shortest paths; readers of network files."""
