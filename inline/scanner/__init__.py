"""The other end of the wire: a client that streams as a scanner does, and a simulator."""
