"""What the pages of alerts need: forms, words, lists."""
