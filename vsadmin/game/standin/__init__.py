"""A stand-in for both upstream services and for a server's folders: for the demonstration without internet, and for tests."""
