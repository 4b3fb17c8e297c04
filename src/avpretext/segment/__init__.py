"""Long recordings cut into clips."""
