"""The frame itself: boards, firmware, assembly."""
