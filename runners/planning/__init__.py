"""Planning: who gains and who loses between two points of a sweep, street maps, the day as an animation."""
