"""Results for people: tables, pictures, maps, the page of a report, and their origin for programs."""
