"""For chapters and tests: checks and pictures; nothing else imports it."""
