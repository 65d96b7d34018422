"""Public transport: timetables, how they are read from GTFS or invented, and earliest arrivals by them."""
