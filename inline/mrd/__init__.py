"""The MRD wire format: bytes to messages and back, without input or output."""
