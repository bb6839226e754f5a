"""The small Whisper that ships with the package; see CARD.md."""
