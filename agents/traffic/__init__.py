"""Traffic: trips that follow from people's days, and vehicles that make them on the streets of a city."""
