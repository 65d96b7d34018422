"""Epidemics: contagion between people who are in one place at one time."""
