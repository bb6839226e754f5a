"""The simulated frame: the firmware's own C core with scripted peripherals."""
