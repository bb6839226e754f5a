"""One file per command or group."""
