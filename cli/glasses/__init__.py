"""Where the assistant and the bridge meet: which frame, which routes, and the world that the pipeline sees."""
