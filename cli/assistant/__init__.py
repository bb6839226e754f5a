"""The voice pipeline. Imports neither click, rich nor serial, and knows no wire."""
