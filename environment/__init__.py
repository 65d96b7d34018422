"""Where they live: the city bundle, its places, roads and schedules, and how a city comes to be."""
