"""The scheduler's process: everything here runs in it, and only programs that run a schedule import it."""
