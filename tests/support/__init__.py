"""What several tests share: small real helpers, no mocks."""
