"""What happened in a dispatch, read once from its journal into one frozen model."""
