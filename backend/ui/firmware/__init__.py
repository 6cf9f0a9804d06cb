"""What the firmware pages show: updates in words, bars, lists and forms."""
