"""Emergency response: calls, dispatch, travel, hospitals, and where stations should stand."""
