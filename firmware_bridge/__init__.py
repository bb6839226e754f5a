"""How host and frame talk."""
