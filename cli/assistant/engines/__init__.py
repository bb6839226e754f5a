"""One file per engine; every heavy import lives inside its own file."""
