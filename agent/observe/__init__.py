"""What happened, for people: a record per turn, and events for the client."""
