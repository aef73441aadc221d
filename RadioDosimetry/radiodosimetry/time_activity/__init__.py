"""Time-activity curves, their fits and time-integrated activity with its uncertainty."""
