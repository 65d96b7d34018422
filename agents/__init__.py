"""Who lives there: citizens, vehicles, responders and authorities, and the processes they take part in."""
