"""Edge and cloud behind one recogniser: which side is heard, and when the other is waited for."""
