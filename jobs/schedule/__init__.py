"""When a job fires: pure functions of a schedule and a time.

A *slot* is one fire time of one job.  Nothing here reads a clock, a table or a setting, so every answer is the same
whoever asks and however often: a restart, a deploy or a re-save cannot move a slot.
All times are aware; what comes back is in UTC.
"""
