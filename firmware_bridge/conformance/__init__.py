"""The conformance suite: numbered cases that a frame must pass, over any port and under two clocks."""
