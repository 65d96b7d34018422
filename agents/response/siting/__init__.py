"""Siting: where stations and vehicles should stand, as pure functions of demand and travel times."""
