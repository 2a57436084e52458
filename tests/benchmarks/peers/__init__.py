"""What a user would pick instead: each peer is a program that runs jobs for some seconds and prints what it achieved as one line of JSON."""
