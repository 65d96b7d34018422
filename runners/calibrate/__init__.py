"""Fitting scenarios to data: parameters with their priors, observations, and the runs that bring them together."""
