"""Series and samples."""
