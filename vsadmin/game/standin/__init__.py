"""Simulates both upstream services and a server's folders, for the demo without internet and for tests."""
