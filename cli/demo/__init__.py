"""The demo: a scripted wearer, the simulated frame, and a verdict that is read off the frame."""
