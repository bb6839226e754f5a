"""lorgnette: the host application."""
