"""The tests, laid out as the source folders are. A package, so that no other `tests` on the path can shadow it."""
