"""vsadmin: an admin-managed job registry for people who run Vintage Story game servers."""

__version__ = "0.1.0"
