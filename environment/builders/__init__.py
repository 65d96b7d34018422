"""How a city comes to be: invented, or read from OpenStreetMap and census tables."""
