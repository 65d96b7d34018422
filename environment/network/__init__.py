"""Networks of streets as traffic uses them: capacities, turns, signals; cheapest ways; readers of network files."""
