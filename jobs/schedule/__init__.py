"""When a job fires: pure functions of a schedule and a time.

A *slot* is one fire time of one job.  Nothing here reads a clock, a table or a setting, so the same
question always has the same answer: a restart, a deploy or a re-save cannot move a slot.
Arguments are aware times; results are in UTC.
"""
